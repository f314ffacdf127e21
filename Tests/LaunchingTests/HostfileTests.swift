import Testing

@testable import Launching

@Suite struct HostfileTests {
  @Test func linesMayEndAsOnWindows() throws {
    #expect(try Hostfile.parse("node1 slots=2\r\nnode2\r\n", name: "hosts").map(\.name) == ["node1", "node2"])
  }

  private func hosts(_ text: String) throws -> [String] {
    try Hostfile.parse(text, name: "hosts").map { "\($0.name) \($0.slots.map(String.init) ?? "-") \($0.place)" }
  }

  @Test func hostsAreReadInOrder() throws {
    let text = """
      # all of them
      node1 slots=4   # the first

      me@node2.example.org slots = 2 max_slots=8
      10.0.0.3
      \tnode4\tmax-slots=3
      """
    #expect(
      try hosts(text) == [
        "node1 4 hosts:2", "me@node2.example.org 2 hosts:4", "10.0.0.3 - hosts:5", "node4 3 hosts:6",
      ])
  }

  /// As PBS writes them.
  @Test func aHostNamedAgainHasMoreSlots() throws {
    #expect(try hosts("a\nb\na\na\n") == ["a 3 hosts:1", "b - hosts:2"])
    #expect(try hosts("a slots=2\na slots=3") == ["a 5 hosts:1"])
  }

  @Test func allMistakesAreTold() throws {
    let text = """
      node1 slots=four
      node2 slot=4
      node3 4
      node4,node5
      node6 slots=0
      node7 slots=4 max_slots=2
      node8 slots=4
      """
    let error = try #require(throws: HostfileError.self) { try Hostfile.parse(text, name: "the/hosts") }
    #expect(
      error.mistakes == [
        "the/hosts:1: slots of node1 is 'four'; expected a number of ranks, such as 4",
        "the/hosts:2: expected slots=… or max_slots=… behind node2, found 'slot=4'",
        "the/hosts:3: expected slots=… or max_slots=… behind node3, found '4'",
        "the/hosts:4: expected a host's name first, as in 'node1 slots=4', found 'node4,node5'",
        "the/hosts:5: slots of node6 is '0'; expected a number of ranks, such as 4",
        "the/hosts:6: node7 has slots=4 and max_slots=2; expected no more slots than that",
      ])
  }

  @Test(arguments: ["", "\n# nobody\n"]) func anEmptyOneIsRefused(text: String) {
    #expect(throws: HostfileError(mistakes: ["hosts: expected a host a line, as in 'node1 slots=4', found none"])) {
      try Hostfile.parse(text, name: "hosts")
    }
  }
}
