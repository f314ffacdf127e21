import Glibc
import Synchronization

/// Which files are mapped where, for a signal handler to look at. The system ends a process with SIGBUS when it touches a page
/// that its file no longer has; the handler says which file that was. It never returns, so it does no harm where oneDNN's code
/// has the stack pointer elsewhere, and takes neither locks nor memory.
enum MappedRanges {
  private struct Slot {
    var start: UInt = 0
    var end: UInt = 0
    var path: UnsafeMutablePointer<CChar>?
  }

  /// More files than a process maps at a time; what comes on top of them is not named.
  private static let capacity = 4096
  private static let messageSize = 8192
  nonisolated(unsafe) private static let slots = {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: capacity)
    slots.initialize(repeating: Slot(), count: capacity)
    return slots
  }()
  nonisolated(unsafe) private static let message = UnsafeMutablePointer<CChar>.allocate(capacity: messageSize)
  nonisolated(unsafe) private static var speaker: UnsafeMutablePointer<CChar>?
  private static let isSpeaking = Atomic(false)
  /// Held by who changes a slot.
  private static let lock = Mutex(())

  /// Returns the number of the slot, nil if there is none left.
  static func add(_ bytes: UnsafeRawBufferPointer, of path: String) -> Int? {
    guard let address = bytes.baseAddress else { return nil }
    return lock.withLock { _ in
      guard let free = (0..<capacity).first(where: { slots[$0].path == nil }) else { return nil }
      let start = UInt(bitPattern: address)
      slots[free] = Slot(start: start, end: start + UInt(bytes.count), path: strdup(FileName.bytes(of: path)))
      return free
    }
  }

  static func remove(_ slot: Int) {
    lock.withLock { _ in
      free(slots[slot].path)
      slots[slot] = Slot()
    }
  }

  /// Has the process say, as `name`, which mapped file was cut short, and end with status 1, where it would end without a word.
  static func explainTruncation(as name: String) {
    _ = (slots, message)  // made now: the handler must not
    speaker = strdup(name)
    var action = sigaction()
    action.__sigaction_handler.sa_sigaction = { _, info, _ in
      let address = info.map { UInt(bitPattern: $0.pointee._sifields._sigfault.si_addr) } ?? 0
      MappedRanges.tell(of: address)
    }
    action.sa_flags = SA_SIGINFO | SA_ONSTACK
    sigaction(SIGBUS, &action, nil)
  }

  /// Runs in the handler. A fault that is none of a mapped file's comes again when it returns, and then ends the process.
  private static func tell(of address: UInt) {
    for slot in 0..<capacity where slots[slot].start <= address && address < slots[slot].end {
      guard let path = slots[slot].path else { continue }
      // Another thread is at it, and ends the process.
      while isSpeaking.exchange(true, ordering: .relaxed) { pause() }
      var length = 0
      append(speaker, &length)
      append(path, &length)
      append(
        ": expected a file that does not change while it is read, found it truncated, or its disk failing; ", &length)
      append("see what writes to it, and start again\n", &length)
      _ = write(STDERR_FILENO, message, length)
      _exit(1)
    }
    signal(SIGBUS, SIG_DFL)
  }

  private static func append(_ text: UnsafePointer<CChar>?, _ length: inout Int) {
    guard let text else { return }
    let count = min(strlen(text), messageSize - length)
    memcpy(message + length, text, count)
    length += count
  }

  private static func append(_ text: StaticString, _ length: inout Int) {
    text.utf8Start.withMemoryRebound(to: CChar.self, capacity: text.utf8CodeUnitCount + 1) { append($0, &length) }
  }
}
