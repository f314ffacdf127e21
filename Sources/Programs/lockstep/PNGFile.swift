import Files
import Foundation
import Glibc

/// Pictures of points, made from SVG by `rsvg-convert`.
enum PNGFile {
  /// Writes the file whole or not at all; `zoom` pixels for each of the SVG. Throws `FileError`, and `PNGError` for what
  /// the program does not do.
  static func write(svg: String, to path: String, zoom: Double) throws {
    guard let program = program(in: ProcessInfo.processInfo.environment["PATH"] ?? "") else {
      throw PNGError.noProgram(picture: path)
    }
    let source = "\(path).partial-\(getpid()).svg"
    let picture = "\(path).partial-\(getpid())"
    defer { for file in [source, picture] where FileSystem.exists(file) { try? FileSystem.remove(file) } }
    try OutputFile.replace(source) { try $0.write(svg) }
    try run(program, ["--format", "png", "--zoom", "\(zoom)", "--output", picture, source], for: path)
    try FileSystem.rename(picture, to: path)
    try FileSystem.synchronizeDirectory(FileSystem.parent(of: path))
  }

  private static func program(in path: String) -> String? {
    path.split(separator: ":").map { "\($0)/rsvg-convert" }.first { access($0, X_OK) == 0 }
  }

  private static func run(_ program: String, _ arguments: [String], for picture: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let errors = Pipe()
    process.standardError = errors
    do {
      try process.run()
    } catch {
      throw PNGError.failed(
        picture: picture, program: program, problem: "does not start: \(error.localizedDescription)")
    }
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      let end = process.terminationReason == .exit ? "ended with status" : "was ended by signal"
      let words = said.trimmingCharacters(in: .whitespacesAndNewlines)
      throw PNGError.failed(
        picture: picture, program: program,
        problem: "\(end) \(process.terminationStatus), saying: \(words.isEmpty ? "nothing" : words)")
    }
  }
}

/// A PNG that was not made.
enum PNGError: Error, CustomStringConvertible, Equatable {
  case noProgram(picture: String)
  case failed(picture: String, program: String, problem: String)

  var description: String {
    switch self {
    case .noProgram(let picture):
      "cannot make \(picture): expected rsvg-convert in PATH, found none; install it (Debian's package librsvg2-bin), "
        + "or write an .svg"
    case .failed(let picture, let program, let problem):
      "cannot make \(picture): \(program) \(problem); write an .svg, which needs no other program"
    }
  }
}
