import Files
import Foundation

/// A folder for one test, gone with it.
public final class TemporaryFolder: Sendable {
  public let path: String

  public init() throws {
    path = "\(FileManager.default.temporaryDirectory.path)/lockstep-test-\(UUID().uuidString)"
    try FileSystem.createDirectory(path)
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      print("cannot remove \(path): \(error)")
    }
  }

  /// The path of a file in it.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file, and gives back its path.
  @discardableResult
  public func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    try FileSystem.createDirectory(FileSystem.parent(of: file(name)))
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  @discardableResult
  public func write(_ name: String, _ text: String) throws -> String { try write(name, text.utf8) }
}
