import CMPI

/// An MPI call that did not succeed: which, and what the library says.
public struct MPIError: Error, CustomStringConvertible, Equatable {
  /// The C function.
  public let call: String
  public let code: Int32
  public let message: String

  public var description: String { "\(call) failed: \(message)" }
}

/// The one place where MPI's return codes are looked at.
func checked(_ call: @autoclosure () -> String, _ code: Int32) throws {
  guard code != MPI_SUCCESS else { return }
  var length: Int32 = 0
  var text = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING))
  MPI_Error_string(code, &text, &length)
  let message = String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  throw MPIError(call: call(), code: code, message: message)
}
