import COneDNN

/// The library: its engine and stream, made once, and the one place where its return codes are looked at.
public enum OneDNN {
  /// Version of the library that is loaded, "2.6.3".
  public static var version: String { String(cString: lockstep_dnnl_version()) }

  /// Instruction set the library has chosen, by its own name ("avx2", "avx512_core").
  public static var instructionSet: String {
    let name = String(cString: dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()))
    return name.hasPrefix("cpu_isa_") ? String(name.dropFirst(8)) : name
  }

  private static let openMP = {
    let openMP = lockstep_dnnl_openmp()
    // oneDNN leaves out the work of threads that OMP_THREAD_LIMIT withholds.
    if let limit = openMP.thread_limit?(), let threads = openMP.threads?(), threads > limit {
      openMP.set_threads?(limit)
    }
    return openMP
  }()

  /// Threads that one call may use. Set it before the first plan is made: plans are built for a number.
  public static var threads: Int { Int(openMP.threads?() ?? 1) }

  /// Throws `KernelError` where the library runs without OpenMP, which alone can be told.
  public static func setThreads(_ count: Int) throws {
    precondition(count >= 1, "a call needs at least one thread")
    guard let set = openMP.set_threads else {
      throw KernelError.failed(operation: "use \(count) threads", reason: "it was built without OpenMP")
    }
    set(min(Int32(count), openMP.thread_limit?() ?? .max))
  }

  /// Calls `body` with each of `count` numbers from 0, on the threads that oneDNN uses, which may be fewer.
  public static func concurrently(_ count: Int, _ body: (Int) -> Void) {
    guard count > 1, let parallel = openMP.parallel, openMP.own_number != nil, openMP.team_size != nil else {
      for index in 0..<count { body(index) }
      return
    }
    withoutActuallyEscaping(body) { body in
      var work = Work(count: count, body: body)
      withUnsafeMutablePointer(to: &work) { work in
        parallel({ $0?.assumingMemoryBound(to: Work.self).pointee.runShare() }, work, UInt32(count), 0)
      }
    }
  }

  private struct Work {
    let count: Int
    let body: (Int) -> Void

    /// What falls to the calling thread.
    func runShare() {
      guard let own = openMP.own_number?(), let team = openMP.team_size?() else { return }
      for index in stride(from: Int(own), to: count, by: Int(team)) { body(index) }
    }
  }

  struct Context: @unchecked Sendable {
    let engine: dnnl_engine_t
    let stream: dnnl_stream_t
  }

  /// Engine and stream of this process. oneDNN's CPU engine holds no state that calls share.
  static let context: Result<Context, KernelError> = {
    do {
      var engine: dnnl_engine_t?
      try check("create its CPU engine", dnnl_engine_create(&engine, dnnl_cpu, 0))
      var stream: dnnl_stream_t?
      try check("create a stream", dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue))
      guard let engine, let stream else {
        throw KernelError.failed(operation: "start", reason: "no engine was made")
      }
      return .success(Context(engine: engine, stream: stream))
    } catch let error as KernelError {
      return .failure(error)
    } catch {
      return .failure(.failed(operation: "start", reason: "\(error)"))
    }
  }()

  static func check(_ operation: @autoclosure () -> String, _ status: dnnl_status_t) throws {
    guard status != dnnl_success else { return }
    let reason =
      switch status {
      case dnnl_out_of_memory: "there is too little memory"
      case dnnl_invalid_arguments: "its arguments do not fit together"
      case dnnl_unimplemented: "this version of the library does not have it"
      default: "status \(status.rawValue)"
      }
    throw KernelError.failed(operation: operation(), reason: reason)
  }
}

/// Shape and layout of a tensor, as oneDNN describes it.
final class Layout {
  var raw: lockstep_dnnl_layout

  /// A layout in a given order of dimensions, or `dnnl_format_tag_any` to let the primitive choose.
  init(_ sizes: [Int], _ order: dnnl_format_tag_t) throws {
    raw = lockstep_dnnl_layout()
    try OneDNN.check(
      "describe a tensor of shape \(sizes)",
      lockstep_dnnl_layout_create(&raw, Int32(sizes.count), sizes.map(Int64.init), order))
  }

  /// The layout a primitive chose for one of its tensors.
  init(of description: PrimitiveDescription, _ query: dnnl_query_t, _ index: Int = 0) throws {
    raw = lockstep_dnnl_layout()
    try OneDNN.check(
      "tell the layout it chose", lockstep_dnnl_layout_query(&raw, description.raw, query, Int32(index)))
  }

  deinit { lockstep_dnnl_layout_destroy(&raw) }

  var bytes: Int { lockstep_dnnl_layout_bytes(&raw) }
}

/// A tensor's place in memory, to be named anew before each use.
final class Tensor {
  let layout: Layout
  let memory: dnnl_memory_t

  init(_ layout: Layout) throws {
    self.layout = layout
    var memory: dnnl_memory_t?
    let engine = try OneDNN.context.get().engine
    try OneDNN.check("create a tensor", lockstep_dnnl_memory_create(&memory, &layout.raw, engine))
    guard let memory else { throw KernelError.failed(operation: "create a tensor", reason: "none was made") }
    self.memory = memory
  }

  deinit { dnnl_memory_destroy(memory) }

  func place(at pointer: UnsafeMutablePointer<Float>) throws {
    try OneDNN.check("place a tensor", dnnl_memory_set_data_handle(memory, pointer))
  }
}

/// What a primitive is to do, before it is made.
final class PrimitiveDescription {
  let raw: dnnl_primitive_desc_t

  /// `describe` is one of the shim's functions that fill in a description for an engine.
  init(
    _ name: String,
    _ describe: (UnsafeMutablePointer<dnnl_primitive_desc_t?>, dnnl_engine_t) -> dnnl_status_t
  ) throws {
    var raw: dnnl_primitive_desc_t?
    try OneDNN.check("describe how to \(name)", describe(&raw, try OneDNN.context.get().engine))
    guard let raw else { throw KernelError.failed(operation: name, reason: "no description was made") }
    self.raw = raw
  }

  deinit { dnnl_primitive_desc_destroy(raw) }
}

/// A oneDNN primitive with its tensors bound: made once, run many times.
final class Primitive {
  private let raw: dnnl_primitive_t
  private let name: String
  private var arguments: [dnnl_exec_arg_t]
  private let tensors: [Tensor]  // kept alive

  init(_ name: String, _ description: PrimitiveDescription, _ tensors: [Int32: Tensor]) throws {
    var raw: dnnl_primitive_t?
    try OneDNN.check("prepare to \(name)", dnnl_primitive_create(&raw, description.raw))
    guard let raw else { throw KernelError.failed(operation: name, reason: "no primitive was made") }
    self.raw = raw
    self.name = name
    self.tensors = Array(tensors.values)
    arguments = tensors.map { dnnl_exec_arg_t(arg: $0.key, memory: $0.value.memory) }
  }

  deinit { dnnl_primitive_destroy(raw) }

  func execute() throws {
    let stream = try OneDNN.context.get().stream
    try OneDNN.check(name, dnnl_primitive_execute(raw, stream, Int32(arguments.count), &arguments))
    try OneDNN.check(name, dnnl_stream_wait(stream))
  }

  /// A primitive that copies from one layout to another.
  static func reorder(_ name: String, from: Tensor, to: Tensor) throws -> Primitive {
    let description = try PrimitiveDescription(name) {
      lockstep_dnnl_reorder($0, $1, &from.layout.raw, &to.layout.raw)
    }
    return try Primitive(name, description, [DNNL_ARG_FROM: from, DNNL_ARG_TO: to])
  }
}
