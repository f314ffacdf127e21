import ArgumentParser
import Files

/// The arguments of a process, as they are handed to ArgumentParser.
public enum CommandLineArguments {
  /// All but the program's name, with values that begin with "-" joined to their options. Throws `ValidationError` for such
  /// a value without an option.
  public static func read() throws -> [String] { try joiningValues(FileName.arguments) }

  /// ArgumentParser takes all that begins with "-" for options, and "- the" for five of them, one of which is -h. So a
  /// value that cannot be an option is joined to the one before it: `--prompt "- the"` becomes `--prompt=- the`.
  static func joiningValues(_ arguments: [String]) throws -> [String] {
    if arguments.first == "---completion" { return arguments }  // a shell that completes a line
    var joined: [String] = []
    var canTakeValue = false
    for (index, argument) in arguments.enumerated() {
      if argument == "--" { return joined + arguments[index...] }
      let isOption = isOption(argument)
      if argument.hasPrefix("-"), argument != "-", !isOption {
        guard canTakeValue, let option = joined.popLast() else {
          throw ValidationError(
            "'\(argument)' begins with '-' and is no option; put -- before it, if it is an argument of another kind")
        }
        joined.append("\(option)=\(argument)")
      } else {
        joined.append(argument)
      }
      canTakeValue = isOption && !argument.contains("=")
    }
    return joined
  }

  /// Whether an argument has the form of an option: -h, --help or --name=value.
  private static func isOption(_ argument: String) -> Bool {
    argument.wholeMatch(of: #/-help|(?:-[A-Za-z]|--[A-Za-z][A-Za-z0-9-]*)(?:=.*)?/#.dotMatchesNewlines()) != nil
  }

  /// What to add to a message of ArgumentParser's.
  public static func hint(after message: String) -> String {
    message.contains("Missing value for") ? "A value that begins with '-' is given as in --name=-value.\n" : ""
  }
}
