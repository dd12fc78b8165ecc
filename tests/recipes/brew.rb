# As much of Homebrew as the formula uses: `ruby brew.rb FORMULA SOURCE PREFIX` installs and tests it.
require "fileutils"
require "open3"
require "pathname"

FORMULA, SOURCE, PREFIX = ARGV.map { |path| Pathname(path).realpath }

class Pathname
  def install(*files)
    FileUtils.mkdir_p(self)
    files.flatten.each do |file|
      from, to = file.is_a?(Hash) ? file.first : [file, File.basename(file)]
      FileUtils.cp(from, join(to))
    end
  end
end

class Formula
  class << self
    attr_reader :told, :tests

    def inherited(formula)
      super
      @made = formula
    end

    attr_reader :made

    %i[desc homepage url sha256 license depends_on].each do |name|
      define_method(name) { |*values| (@told ||= {})[name] = values.first }
    end

    def test(&block)
      @tests = block
    end
  end

  { bin: "bin", man1: "share/man/man1", bash_completion: "etc/bash_completion.d",
    zsh_completion: "share/zsh/site-functions",
    fish_completion: "share/fish/vendor_completions.d" }.each do |name, folder|
    define_method(name) { PREFIX + folder }
  end

  def version
    self.class.told.fetch(:url)[/-([0-9][^-]*)\.crate\z/, 1]
  end

  def std_cargo_args
    ["--locked", "--root", PREFIX.to_s, "--path", "."]
  end

  def generate_completions_from_executable(program, *arguments)
    { "bash" => bash_completion + "maint", "zsh" => zsh_completion + "_maint",
      "fish" => fish_completion + "maint.fish" }.each do |shell, file|
      FileUtils.mkdir_p(file.dirname)
      file.write(shell_output("#{program} #{arguments.join(" ")} #{shell}"))
    end
  end

  def system(program, *arguments)
    Kernel.system(program.to_s, *arguments.map(&:to_s), exception: true)
  end

  def shell_output(command, expected = 0)
    said, status = Open3.capture2(command)
    raise "#{command}: exit #{status.exitstatus}" if status.exitstatus != expected

    said
  end

  def assert_match(part, text)
    raise "#{part} is not in: #{text}" unless text.include?(part)
  end
end

require FORMULA.to_s
maint = Formula.made.new
Dir.chdir(SOURCE) { maint.install }
Dir.chdir(ENV.fetch("TESTPATH")) { maint.instance_eval(&Formula.made.tests) }
