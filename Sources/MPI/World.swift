import CMPI

/// MPI from `MPI_Init_thread` to `MPI_Finalize`. Make one, on the main thread, and keep it until all
/// communicators are gone.
public struct World: ~Copyable {
  /// Starts MPI; its calls stay on this thread (`MPI_THREAD_FUNNELED`).
  public init() throws {
    var provided: Int32 = 0
    try checked("MPI_Init_thread", MPI_Init_thread(nil, nil, lockstep_thread_funneled(), &provided))
    guard provided >= lockstep_thread_funneled() else {
      throw MPIError(
        call: "MPI_Init_thread", code: provided,
        message: "this MPI library allows no other threads beside its own (asked for MPI_THREAD_FUNNELED, level "
          + "\(lockstep_thread_funneled()), and was given \(provided)); build it with thread support")
    }
    // Faults are to come back as codes, for `checked` to throw.
    try checked(
      "MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(lockstep_comm_world(), lockstep_errors_return()))
  }

  deinit { MPI_Finalize() }

  /// All ranks, in a communicator of its own, so that nobody else's messages can mix with ours.
  public func communicator() throws -> Communicator {
    var raw = lockstep_comm_null()
    try checked("MPI_Comm_dup", MPI_Comm_dup(lockstep_comm_world(), &raw))
    return try Communicator(taking: raw)
  }

  /// The MPI library's name and version, in one line.
  public static var libraryVersion: String {
    var length: Int32 = 0
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING))
    MPI_Get_library_version(&text, &length)
    let bytes = text.prefix(Int(length)).map { UInt8(bitPattern: $0) }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }, as: UTF8.self)
  }

  /// Name of this machine (`MPI_Get_processor_name`).
  public static var host: String {
    var length: Int32 = 0
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_PROCESSOR_NAME))
    MPI_Get_processor_name(&text, &length)
    return String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Ends every rank at once (`MPI_Abort`): for a rank that fails where the others wait for it.
  public static func abort(status: Int32) -> Never {
    MPI_Abort(lockstep_comm_world(), status)
    fatalError("MPI_Abort returned")
  }
}
