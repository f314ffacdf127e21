import ArgumentParser
import Files
import Runs
import Training

/// What `lockstepd run` and `lockstep train` are told on the command line.
public struct RunOptions: ParsableArguments {
  @Argument(
    help: "The run's configuration, a YAML file (see configs/README.md).",
    completion: .file(extensions: ["yaml", "yml"]))
  public var configuration: String

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Sets one key over the file, as in training.epochs=3. May be repeated.", valueName: "key=value"))
  public var settings: [String] = []

  @Option(
    help:
      "What to do about checkpoints already in the run's folder: auto: go on from the newest; never: refuse to start if there are any."
  )
  public var resume: ResumePolicy = .auto

  @Option(help: "How progress is shown: live writes over one line, plain writes lines now and then.")
  public var progress: ProgressStyle?

  @Option(help: "What is printed: text for people, json for programs (one object a line).")
  public var logFormat: LogFormat = .text

  public init() {}

  /// Reads the file and lays the settings over it. Throws `FileError` and `ConfigurationError`.
  public func readConfiguration() throws -> RunConfiguration {
    try Self.readConfiguration(configuration, settings: settings)
  }

  /// Reads a file and lays settings over it. Throws `FileError` and `ConfigurationError`.
  public static func readConfiguration(_ configuration: String, settings: [String]) throws -> RunConfiguration {
    guard var yaml = try MappedFile.withBytes(of: configuration, { String(validating: $0, as: UTF8.self) }) else {
      throw ConfigurationError(
        key: "", problem: "this is not UTF-8 text; expected a YAML file", origin: configuration)
    }
    if yaml.hasPrefix("\u{FEFF}") { yaml.removeFirst() }  // a byte-order mark, as some editors write
    return try ConfigurationReader.read(yaml: yaml, name: configuration, settings: settings)
  }

  /// A reporter as the options say; `style` is used where they say nothing of progress.
  public func makeReporter(_ configuration: RunConfiguration, style: ProgressStyle) -> any Reporter {
    logFormat.makeReporter(style: progress ?? style, interval: .seconds(configuration.output.reportSeconds))
  }
}

extension ResumePolicy: ExpressibleByArgument {}
extension ProgressStyle: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
