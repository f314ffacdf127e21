import Testing

@testable import Hosts
@testable import Runs

@Suite struct MachineNetworkTests {
  private let own = MachineNetwork(id: "own", addresses: ["127.0.0.1"])

  private func other(_ id: String, _ addresses: String...) -> MachineNetwork {
    MachineNetwork(id: id, addresses: addresses)
  }

  @Test func thisMachineKnowsItself() {
    let current = MachineNetwork.current
    #expect(current == MachineNetwork.current && !current.id.isEmpty)
    #expect(!current.addresses.contains { $0.hasPrefix("127.") || $0 == "::1" || $0.contains("%") })
    #expect(current.addresses(facing: [current, current]) == ["127.0.0.1"])
    #expect(current.addresses(facing: []) == ["127.0.0.1"])
  }

  /// From 127.0.0.1 the system reaches all of 127.0.0.0/8.
  @Test func othersAreFacedFromWhereTheyAreReached() {
    let others = [own, other("a", "127.0.0.9"), other("b", "127.0.0.8", "127.0.0.7")]
    #expect(own.addresses(facing: others) == ["127.0.0.1"])
  }

  @Test func whatIsNotKnownIsLeftOpen() {
    #expect(own.addresses(facing: [other("a")]).isEmpty)
    #expect(own.addresses(facing: [other("a", "no address"), other("b", "127.0.0.9")]).isEmpty)
    // A bridge of containers that both have.
    #expect(own.addresses(facing: [other("a", "127.0.0.1")]).isEmpty)
    // Sent from elsewhere than an interface that others reach.
    #expect(MachineNetwork(id: "own", addresses: ["192.0.2.9"]).addresses(facing: [other("a", "127.0.0.9")]).isEmpty)
  }
}
