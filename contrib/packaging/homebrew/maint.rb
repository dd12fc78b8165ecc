# For a tap: Formula/maint.rb in a repository `homebrew-tap`. `release/version` and `release/recipes` write the
# address and its digest; zeros stand for a crate that is not released yet.
class Maint < Formula
  desc "One switch that takes a web app into maintenance and brings it back"
  homepage "https://repository.invalid/maint"
  url "https://static.crates.io/crates/maint/maint-0.1.0.crate"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args, "--features", "full"
    generate_completions_from_executable(bin/"maint", "completions")
    man1.mkpath
    system bin/"maint", "man", man1
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/maint --version")
    system bin/"maint", "init"
    system bin/"maint", "on", "--message", "Back at noon"
    assert_match "Back at noon", shell_output("#{bin}/maint status --expect on")
    system bin/"maint", "off"
    shell_output("#{bin}/maint status --quiet --expect on", 1)
  end
end
