import Glibc

/// Where a machine can be reached, as its processes tell those of others.
public struct MachineNetwork: Codable, Equatable, Sendable {
  /// The same for processes that reach each other over loopback: the boot, and of containers the network of their own.
  public var id: String
  /// Of its interfaces, without loopback and without those that mean something on one link only.
  public var addresses: [String]

  public init(id: String, addresses: [String]) {
    self.id = id
    self.addresses = addresses
  }

  /// This machine's.
  public static var current: MachineNetwork {
    var name = [CChar](repeating: 0, count: 64)
    let length = max(0, readlink("/proc/self/ns/net", &name, name.count))
    let namespace = String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return MachineNetwork(id: "\(HostReport.machineID) \(namespace)", addresses: interfaceAddresses())
  }

  /// The addresses of this machine that others reach it at: loopback where all are on it, else those it would send from to
  /// each. None where that is not known of one of them.
  public func addresses(facing others: [MachineNetwork]) -> [String] {
    let elsewhere = others.filter { $0.id != id }
    if elsewhere.isEmpty { return ["127.0.0.1"] }
    var found: [String] = []
    var asked: Set<String> = []
    for other in elsewhere where asked.insert(other.id).inserted {
      // An address that both have, as bridges of containers do, leads from neither to the other.
      let sources = other.addresses.filter { !addresses.contains($0) }.compactMap(Self.source)
        .filter(addresses.contains)
      if sources.isEmpty { return [] }
      for source in sources where !found.contains(source) { found.append(source) }
    }
    return found
  }

  /// The address that the system would send from to another one. Nothing is sent.
  private static func source(toward address: String) -> String? {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    // The port of nobody (discard): connecting a datagram socket only looks up the way.
    guard getaddrinfo(address, "9", &hints, &list) == 0, let target = list?.pointee else { return nil }
    defer { freeaddrinfo(list) }
    let descriptor = socket(target.ai_family, target.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard connect(descriptor, target.ai_addr, target.ai_addrlen) == 0 else { return nil }
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &length) == 0 ? text(of: $0, length) : nil
      }
    }
  }

  private static func interfaceAddresses() -> [String] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    let interfaces = sequence(state: list) { next -> ifaddrs? in
      defer { next = next?.pointee.ifa_next }
      return next?.pointee
    }
    return interfaces.compactMap { interface -> String? in
      guard let address = interface.ifa_addr, interface.ifa_flags & UInt32(IFF_UP) != 0,
        interface.ifa_flags & UInt32(IFF_LOOPBACK) == 0
      else { return nil }
      let size =
        switch Int32(address.pointee.sa_family) {
        case AF_INET: MemoryLayout<sockaddr_in>.size
        case AF_INET6: MemoryLayout<sockaddr_in6>.size
        default: 0
        }
      return size == 0 ? nil : text(of: address, socklen_t(size))
    }.filter { !$0.contains("%") }  // of one link only
  }

  private static func text(of address: UnsafePointer<sockaddr>, _ length: socklen_t) -> String? {
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard getnameinfo(address, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 else { return nil }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
