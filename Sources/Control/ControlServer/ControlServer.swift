import ControlAPI
import Dispatch
import Files
import Hummingbird
import NIOCore
import NIOPosix
import Synchronization

/// Answers people and programs while training goes on: HTTP over a Unix socket in a folder, over TCP if asked.
///
/// All of it runs on one thread of its own, and wants nothing of the one that starts and stops it.
public final class ControlServer: Sendable {
  /// Of the Unix socket.
  public var socketPath: String { files.socketPath }
  /// Of the file with the token for TCP.
  public var tokenPath: String { files.tokenPath }

  private let files: PrivateFiles
  private let views: Views
  private let listeners: Listeners
  private let thread: MultiThreadedEventLoopGroup
  /// Signalled when every connection has ended.
  private let ended = DispatchSemaphore(value: 0)
  /// Whether `stop` was called, and what it came to.
  private let stopped = Mutex<Bool?>(nil)

  /// Starts it; returns when clients can connect. Whoever calls has locked the folder. `report` is given a line for
  /// each fault of the backend, on the server's thread. Throws `ListeningError` and `FileError`.
  public init(
    in folder: String, at address: TCPAddress? = nil, backend: any ControlBackend, bounds: Bounds = Bounds(),
    report: @escaping @Sendable (String) -> Void
  ) throws {
    files = try PrivateFiles(folder: folder)
    thread = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = thread.next()
    listeners = Listeners(loop: loop, bounds: bounds)
    let authentication = Authentication(folder: FileSystem.parent(of: files.tokenPath), bounds: bounds)
    views = Views(listeners: listeners, authentication: authentication, bounds: bounds)
    let events = EventHub(bounds: bounds)
    let routes = Routes(
      backend: backend, bounds: bounds, authentication: authentication, events: events, faults: Faults(report: report),
      views: views)
    let responder = routes.router().buildResponder()
    listeners.answer { try await responder.respond(to: $0, context: $1) }
    do {
      let socket = try files.makeSocket()
      do {
        _ = try listeners.listen(descriptor: socket).wait()
        if let address { try Self.listen(at: address, views) }
        try files.write(token: authentication.token)
      } catch {
        listeners.close()
        files.remove()
        throw error
      }
    } catch {
      try thread.syncShutdownGracefully()
      throw error
    }
    serve(on: loop, events, backend)
  }

  /// Where TCP is listened at, if it is. Not for the server's own thread.
  public var address: TCPAddress? { try? views.address?.wait() }

  /// Ends every connection, and returns when they have ended. Not for the server's own thread. `seconds` is for calls
  /// of the backend that hold up the thread, or do not end when they are cancelled: then the thread is left behind, and
  /// `false` comes back.
  @discardableResult
  public func stop(within seconds: Double = 5) -> Bool {
    stopped.withLock {
      if let before = $0 { return before }
      let deadline = DispatchTime.now() + seconds
      let isClosed = listeners.close(by: deadline)
      files.remove()
      let isWhole = isClosed && ended.wait(timeout: deadline) == .success
      // Nothing is left on it that could fail.
      if isWhole { try? thread.syncShutdownGracefully() }
      $0 = isWhole
      return isWhole
    }
  }

  /// One task for each connection, all on the loop's thread: no other is woken for a request.
  private func serve(on loop: any EventLoop, _ events: EventHub, _ backend: any ControlBackend) {
    let beats = loop.scheduleRepeatedTask(initialDelay: .seconds(15), delay: .seconds(15)) { _ in events.beat() }
    Task.detached(executorPreference: LoopExecutor(loop)) { [listeners, ended] in
      await withDiscardingTaskGroup { group in
        group.addTask { await events.run(backend) }
        for await connection in listeners.connections {
          group.addTask { await listeners.handle(connection) }
        }
        group.cancelAll()
      }
      beats.cancel()
      ended.signal()
    }
  }

  private static func listen(at address: TCPAddress, _ views: Views) throws {
    do {
      _ = try views.listen(at: address).wait()
    } catch let error as IOError where error.errnoCode == EADDRINUSE {
      throw ListeningError(description: "cannot listen at \(address): another program does; name another port")
    } catch {
      throw ListeningError(description: "cannot listen at \(address): \(error)")
    }
  }
}

/// Lets tasks run on an event loop's thread.
private final class LoopExecutor: TaskExecutor {
  private let loop: any EventLoop

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
