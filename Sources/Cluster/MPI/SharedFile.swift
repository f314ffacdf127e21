import CMPI
import Glibc

/// Memory in a file without a name, which other processes of the machine map by way of the one that made it.
final class SharedFile {
  /// Tells another process where the file is, and how it knows it.
  let place: [Int64]
  static let placeCount = 5
  private var memory: UnsafeMutableRawBufferPointer?
  private let descriptor: Int32

  private init(_ place: [Int64], _ memory: UnsafeMutableRawBufferPointer, _ descriptor: Int32) {
    self.place = place
    self.memory = memory
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
    if let memory { munmap(memory.baseAddress, memory.count) }
  }

  /// What is mapped, to be kept.
  func takeMemory() -> UnsafeMutableRawBufferPointer {
    defer { memory = nil }
    return memory!
  }

  /// Of zeros, but for a number at the end of the first cache line that only it has. Nil where the system does not give it.
  static func make(size: Int) -> SharedFile? {
    let descriptor = lockstep_mpi_memory_file()
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard ftruncate(descriptor, size) == 0, fstat(descriptor, &status) == 0, let memory = map(descriptor, size) else {
      close(descriptor)
      return nil
    }
    let mark = Int64.random(in: .min ... .max)
    memory.storeBytes(of: mark, toByteOffset: markOffset, as: Int64.self)
    return SharedFile([Int64(getpid()), Int64(descriptor)] + identity(status) + [mark], memory, descriptor)
  }

  /// What another process has made. Nil where this one does not see it.
  static func open(_ place: [Int64], size: Int) -> SharedFile? {
    let path = "/proc/\(place[0])/fd/\(place[1])"
    var status = stat()
    // On another machine that may be anything: it is not even opened.
    guard stat(path, &status) == 0, status.st_size == size, identity(status) == place[2..<4] else { return nil }
    let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    guard let memory = map(descriptor, size) else {
      close(descriptor)
      return nil
    }
    let file = SharedFile(place, memory, descriptor)
    return memory.load(fromByteOffset: markOffset, as: Int64.self) == place[4] ? file : nil
  }

  private static func identity(_ status: stat) -> ArraySlice<Int64> {
    [Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino))]
  }

  private static let markOffset = 56

  private static func map(_ descriptor: Int32, _ size: Int) -> UnsafeMutableRawBufferPointer? {
    let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    return memory == MAP_FAILED ? nil : UnsafeMutableRawBufferPointer(start: memory, count: size)
  }
}
