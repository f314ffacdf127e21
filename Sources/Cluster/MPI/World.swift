import CMPI
import Glibc

/// MPI from `MPI_Init_thread` to `MPI_Finalize`, and what all ranks have in common.
public enum World {
  /// Starts MPI, runs `body`, and ends MPI when it has returned or thrown; communicators must be gone by then. Once in
  /// a process, on the main thread: MPI's calls stay on this thread (`MPI_THREAD_FUNNELED`).
  public static func run<Value>(_ body: () throws -> Value) throws -> Value {
    // Open MPI 4 sums in place by a tree, over which all bytes travel up and down again; this is Rabenseifner's way, which
    // takes half the time between two machines and a quarter between eight. Whoever has set the variable keeps
    // what it says.
    setenv("OMPI_MCA_coll_libnbc_iallreduce_algorithm", "3", 0)
    // It asks the system about every open connection each time it looks for messages; so it is told only of those that have
    // something to say.
    setenv("OMPI_MCA_opal_event_include", "epoll", 0)
    var provided: Int32 = 0
    let calls = CallCounter.of("all ranks of the job")
    try calls.next("MPI_Init_thread").make {
      MPI_Init_thread(nil, nil, lockstep_mpi_thread_funneled(), &provided)
    }
    defer { try? calls.next("MPI_Finalize").make { MPI_Finalize() } }
    guard provided >= lockstep_mpi_thread_funneled() else {
      throw MPIError(
        call: "MPI_Init_thread", code: provided,
        message: "this MPI library allows no other threads beside its own (asked for MPI_THREAD_FUNNELED, level "
          + "\(lockstep_mpi_thread_funneled()), and was given \(provided)); build it with thread support")
    }
    // Faults are to come back as codes, for `checked` to throw.
    try checked(
      "MPI_Comm_set_errhandler",
      MPI_Comm_set_errhandler(lockstep_mpi_comm_world(), lockstep_mpi_errors_return()))
    return try body()
  }

  /// All ranks, in a communicator of its own, so that nobody else's messages can mix with ours. `name` says for people which
  /// they are.
  public static func communicator(_ name: StaticString) throws -> Communicator {
    var raw = lockstep_mpi_comm_null()
    try checked("MPI_Comm_dup", MPI_Comm_dup(lockstep_mpi_comm_world(), &raw))
    return try Communicator(taking: raw, name: name)
  }

  /// Name of this machine (`MPI_Get_processor_name`).
  public static var host: String {
    var length: Int32 = 0
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_PROCESSOR_NAME))
    MPI_Get_processor_name(&text, &length)
    return String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// What the library says of itself and its version (`MPI_Get_library_version`); MPI need not have been started.
  public static var library: String {
    var length: Int32 = 0
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING))
    MPI_Get_library_version(&text, &length)
    return String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Ends every rank at once (`MPI_Abort`): for a rank that fails where the others wait for it.
  public static func abort(status: Int32) -> Never {
    MPI_Abort(lockstep_mpi_comm_world(), status)
    fatalError("MPI_Abort returned")
  }
}
