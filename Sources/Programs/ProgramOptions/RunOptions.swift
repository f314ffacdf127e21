import ArgumentParser
import ControlAPI
import Files
import Foundation
import Reporting
import Runs
import TaskRegistry
import Training

/// What `lockstepd run` and `lockstep train` are told on the command line.
public struct RunOptions: ParsableArguments {
  @Argument(
    help: "The run's configuration, a YAML file (see configs/README.md), or - for standard input.",
    completion: .file(extensions: ["yaml", "yml"]))
  public var configuration: String

  @OptionGroup public var choices: RunChoices

  public init() {}

  /// Reads the file and lays the settings over it. Throws `FileError` and `ConfigurationError`.
  public func readConfiguration() throws -> RunConfiguration {
    try Self.readConfiguration(configuration, settings: choices.settings)
  }

  /// Reads a file, or standard input for `-`, and lays settings over it. Throws `FileError` and `ConfigurationError`.
  public static func readConfiguration(_ configuration: String, settings: [String]) throws -> RunConfiguration {
    let (yaml, name) = try text(of: configuration)
    return try ConfigurationReader.read(yaml: yaml, name: name, settings: settings)
  }

  /// A line that ends a YAML document.
  public static let endOfDocument = "\n...\n"

  /// Standard input up to its end or that of the document: mpirun of Open MPI 5 never tells a rank that its input has ended.
  /// No more than one piece above what is read.
  private static func readInput() -> Data {
    let end = Data(endOfDocument.utf8)
    var data = Data()
    while !data.suffix(end.count).elementsEqual(end), data.count <= ConfigurationReader.mostBytes {
      let piece = FileHandle.standardInput.availableData
      if piece.isEmpty { break }
      data.append(piece)
    }
    return data
  }

  /// The text of a configuration, of a file or for `-` of standard input, and what to call it. Throws `FileError` and
  /// `ConfigurationError`.
  public static func text(of configuration: String) throws -> (text: String, name: String) {
    let isInput = configuration == "-"
    let name = isInput ? "standard input" : configuration
    let most = ConfigurationReader.mostBytes
    let data = isInput ? readInput() : try MappedFile.withBytes(of: configuration) { Data($0.prefix(most + 1)) }
    guard data.count <= most else {
      throw ConfigurationError(
        key: "", problem: "expected a YAML file of at most \(most) bytes, found more", origin: name)
    }
    guard var yaml = String(validating: data, as: UTF8.self) else {
      throw ConfigurationError(
        key: "", problem: "this is not UTF-8 text; expected a YAML file", origin: name)
    }
    if yaml.hasPrefix("\u{FEFF}") { yaml.removeFirst() }  // a byte-order mark, as some editors write
    return (yaml, name)
  }
}

/// What may be said of any run.
public struct RunChoices: ParsableArguments {
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      "Overrides one key of the file, such as training.epochs=3. May be repeated.", valueName: "key=value"))
  public var settings: [String] = []

  @Option(
    help:
      "What to do about checkpoints already in the run's folder: auto: resume from the newest, begin if there is none; always: refuse to start if there is none; never: if there are any."
  )
  public var resume: ResumePolicy = .auto

  @Option(help: "How progress is shown: live updates one line, plain prints a line at intervals.")
  public var progress: ProgressStyle?

  @Option(help: "What is printed: text for people, json for programs (one object a line).")
  public var logFormat: LogFormat = .text

  public init() {}

  /// A reporter as the options say; `style` is used where they say nothing of progress.
  public func makeReporter(_ configuration: RunConfiguration, style: ProgressStyle) -> any Reporter {
    logFormat.makeReporter(
      configuration.task.task.measures.metrics, style: progress ?? style,
      interval: .seconds(configuration.output.reportSeconds))
  }
}

/// Where the daemon also listens.
public struct ListeningOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Also listen on TCP there, as in 127.0.0.1:8080; requests then carry the token from control.token in the run's or "
        + "daemon's folder.", valueName: "address:port"),
    transform: { try TCPAddress($0) })
  public var listen: TCPAddress?

  public init() {}
}

/// What the runs of a daemon's queue may read.
public struct DataOptions: ParsableArguments {
  @Option(
    name: .customLong("data"), parsing: .singleValue,
    help: ArgumentHelp(
      "A folder that runs may read texts, vocabularies and models in, beside the daemon's own and the one it is started "
        + "in. May be repeated.", valueName: "folder"), completion: .directory)
  public var folders: [String] = []

  public init() {}
}

extension ResumePolicy: ExpressibleByArgument {}
extension ProgressStyle: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
