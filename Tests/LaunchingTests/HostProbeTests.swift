import Foundation
import Hosts
import Runs
import Testing

@testable import Launching

/// What ssh and shells say, and what is made of it.
@Suite struct HostProbeTests {
  private func fault(status: Int32?, output: String = "", error: String, port: Int? = nil) throws -> String {
    let result = CommandRunner.Result(status: status, output: output, error: error)
    let host = LaunchHost(name: "node2", port: port, place: "hosts:1")
    switch HostProbe.read(host, result, program: "/opt/lockstepd") {
    case .success(let report): return "a report of \(report.name)"
    case .failure(let fault): return fault.description
    }
  }

  @Test(arguments: [
    (
      """
      @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
      @    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
      @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
      Host key for node2 has changed and you have requested strict checking.
      Host key verification failed.
      """, "the host key that is known of it, found another one", "ssh-keygen -R node2"
    ),
    (
      "No ED25519 host key is known for node2 and you have requested strict checking.\r\nHost key verification failed.",
      "a host key that is known, found none", "'ssh node2'"
    ),
    (
      "me@node2: Permission denied (publickey).\r\n",
      "ssh to let you in without being asked, found \"me@node2: Permission denied (publickey).\"", "ssh-copy-id node2"
    ),
    (
      "ssh: Could not resolve hostname node2: Name or service not known", "a host of that name, found none",
      "correct the hostfile"
    ),
    (
      "ssh: connect to host node2 port 22: Connection refused", "a server of ssh, found none (connection refused)",
      "start sshd there"
    ),
    (
      "ssh: connect to host node2 port 22: No route to host",
      "an answer within 10 seconds, found none (no route to host)", "see that it is up"
    ),
    (
      "ssh: connect to host node2 port 22: Connection timed out", "an answer within 10 seconds, found none (timed out)",
      "see that it is up"
    ),
    (
      "kex_exchange_identification: banner line contains invalid characters",
      "ssh to run a command, found \"kex_exchange_identification: banner line contains invalid characters\"",
      "try 'ssh node2 true'"
    ),
  ])
  func messagesOfSSH(error: String, problem: String, remedy: String) throws {
    let line = try fault(status: 255, error: error)
    #expect(line.hasPrefix("node2: expected \(problem); "), "\(line)")
    #expect(line.contains(remedy) && !line.contains("\n"), "\(line)")
  }

  @Test(arguments: [
    (
      Int32(127), "sh: 1: exec: /opt/lockstepd: not found", "the program at /opt/lockstepd, found none; copy it there"
    ),
    (
      127,
      "/opt/lockstepd: error while loading shared libraries: libdnnl.so.2: cannot open shared object file: No such file",
      "the libraries of /opt/lockstepd, found libdnnl.so.2: cannot open shared object file: No such file; install it"
    ),
    (
      1, "/opt/lockstepd: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /opt/lockstepd)",
      "the libraries that /opt/lockstepd was built with, found"
    ),
    (126, "sh: 1: exec: /opt/lockstepd: Exec format error", "a program that can be run at /opt/lockstepd, found"),
    (64, "Error: Unexpected argument 'check'", "lockstepd \(programVersion) at /opt/lockstepd, found another version"),
    (139, "", "/opt/lockstepd to run, found it killed by signal 11"),
    (3, "some line\nthe last one\n", "/opt/lockstepd to run, found \"the last one\""),
  ])
  func messagesOfPrograms(status: Int32, error: String, problem: String) throws {
    let line = try fault(status: status, error: error)
    #expect(line.hasPrefix("node2: expected \(problem)") && !line.contains("\n"), "\(line)")
  }

  /// Commands to be typed lead there too.
  @Test func portsAreHandedOn() throws {
    let host = LaunchHost(name: "me@node2", port: 2222, place: "hosts:1")
    let command = SecureShell.command(host, "true", environment: [:])
    #expect(command.suffix(4) == ["-p", "2222", "me@node2", "exec sh -c 'true'"])
    let denied = try fault(status: 255, error: "Permission denied (publickey).", port: 2222)
    #expect(denied.contains("'ssh-copy-id -p 2222 node2'"), "\(denied)")
    let changed = try fault(status: 255, error: "Host key for [node2]:2222 has changed", port: 2222)
    #expect(changed.contains("'ssh-keygen -R [node2]:2222'") && changed.contains("'ssh -p 2222 node2'"), "\(changed)")
  }

  /// mpirun starts ranks on this machine without ssh, whatever user or port a hostfile gives it.
  @Test func thisMachineHasNoPortOfSSH() throws {
    let probe = HostProbe(program: "/nowhere/lockstepd", mpirun: Sample.openMPI4, configuration: nil)
    let answers = try probe.ask([LaunchHost(name: "localhost", port: 2222, place: "hosts:1")])
    let answer = try #require(answers.first)
    #expect(throws: HostFault.self) { try answer.get() }
    #expect("\(answer)".contains("this machine"), "\(answer)")
  }

  @Test func silenceIsToldToo() throws {
    #expect(
      try fault(status: nil, error: "").hasPrefix(
        "node2: expected a report within 120 seconds, found nothing yet; "))
  }

  @Test func theReportIsFoundAmongOtherLines() throws {
    let json = String(decoding: try JSONEncoder().encode(Sample.report("its-name")), as: UTF8.self)
    #expect(try fault(status: 0, output: "welcome\n\(json)\n", error: "motd") == "a report of its-name")
    #expect(try fault(status: 0, output: "welcome\n", error: "").contains("another version"))
  }

  @Test func commandsSurviveShells() throws {
    let script = "printf '%s\\n' \"it's \\$HOME\" 'two  words'"
    let host = LaunchHost(name: "node2", place: "hosts:1")
    let command = SecureShell.command(host, script, environment: [:])
    #expect(command.first == "ssh" && command.contains("BatchMode=yes") && command[command.count - 2] == "node2")
    let results = try CommandRunner.run([["sh", "-c", command[command.count - 1]]], input: [], seconds: 10)
    #expect(results == [CommandRunner.Result(status: 0, output: "it's $HOME\ntwo  words\n", error: "")])
    #expect(
      SecureShell.command(host, "true", environment: ["OMPI_MCA_plm_rsh_agent": "/opt/rsh -q"])
        == ["/opt/rsh", "-q", "node2", "exec sh -c 'true'"])
  }

  @Test func commandsRunSideBySideAndNotForEver() throws {
    let begin = ContinuousClock.now
    let results = try CommandRunner.run(
      [["sh", "-c", "cat; echo it >&2; exit 3"], ["sleep", "60"], ["sh", "-c", "sleep 0.1; kill -9 $$"]],
      input: Array("text".utf8), seconds: 5)
    #expect(
      results == [
        CommandRunner.Result(status: 3, output: "text", error: "it\n"),
        CommandRunner.Result(status: nil, output: "", error: ""),
        CommandRunner.Result(status: 137, output: "", error: ""),
      ])
    #expect(ContinuousClock.now - begin < .seconds(20))
  }
}
