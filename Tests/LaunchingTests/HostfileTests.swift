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

  /// What Open MPI hands on to ssh.
  @Test(arguments: [
    "me@node1 port=2222 slots=4", "node1 slots=4 username=me port = 2222",
    "\u{FEFF}me@node1\tslots=4\tport=2222\r\n",
  ])
  func usersAndPortsAreTaken(text: String) throws {
    let host = LaunchHost(name: "me@node1", port: 2222, slots: 4, place: "hosts:1")
    #expect(try Hostfile.parse(text, name: "hosts") == [host])
  }

  /// What only ~/.ssh/config can say is told with the way to say it.
  @Test(arguments: [
    ("node1:2222", "write 'node1 port=2222' for a port of ssh, or 'node1 slots=2222' for ranks"),
    ("me@node1:8", "write 'me@node1 port=8' for a port of ssh, or 'me@node1 slots=8' for ranks"),
    ("fd00::1", "mpirun takes no IPv6 addresses: name it in ~/.ssh/config (Host node1, HostName fd00::1), and"),
    ("me@fe80::1%eth0", "(Host node1, HostName fe80::1%eth0), and write that name here"),
    ("[fd00::1]:2222", "(Host node1, HostName fd00::1, Port 2222), and write that name here"),
    ("HOME\\me@node1", "name the host and its user in ~/.ssh/config (Host, HostName, User)"),
    ("a@b@node1", "name the host and its user in ~/.ssh/config"),
  ])
  func whatCannotBeHandedOnIsNamed(name: String, remedy: String) throws {
    let error = try #require(throws: HostfileError.self) { try Hostfile.parse("\(name) slots=2", name: "hosts") }
    let line = "\(error)"
    let problem = "hosts:1: expected a host's name first, as in 'node1 slots=4', found '\(name)'; "
    #expect(line.hasPrefix(problem), "\(line)")
    #expect(line.contains(remedy) && error.mistakes.count == 1, "\(line)")
  }

  @Test(arguments: [
    ("node1 port=0", "hosts:1: port of node1 is '0'; expected that of its ssh server, 1 to 65535"),
    ("node1 port=70000", "hosts:1: port of node1 is '70000'; expected that of its ssh server, 1 to 65535"),
    ("me@node1 username=you", "hosts:1: username of me@node1 is 'you'; expected one user, as in 'me@node1'"),
    ("node1 username=", "hosts:1: username of node1 is ''; expected one user, as in 'me@node1'"),
    (
      "node1\nnode1 port=2222",
      "hosts:2: node1 has another user or port than at hosts:1, which mpirun does not tell apart; give each a name of its "
        + "own in ~/.ssh/config"
    ),
    (
      "me@node1\nnode1",
      "hosts:2: node1 has another user or port than at hosts:1, which mpirun does not tell apart; give each a name of its "
        + "own in ~/.ssh/config"
    ),
  ])
  func mistakesOfUsersAndPorts(text: String, mistake: String) {
    #expect(throws: HostfileError(mistakes: [mistake])) { try Hostfile.parse(text, name: "hosts") }
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
