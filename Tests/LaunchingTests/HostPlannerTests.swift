import Hosts
import Runs
import Testing

@testable import Launching

@Suite struct HostPlannerTests {
  // MARK: - Order

  @Test func theNewestCheckpointComesFirst() {
    let hosts = [
      Sample.host("a") { $0.checkpoint = 5 }, Sample.host("b") { $0.checkpoint = 9 },
      Sample.host("c") { $0.checkpoint = 9 }, Sample.host("d"),
    ]
    #expect(Sample.planner().order(hosts).map(\.host.name) == ["b", "a", "c", "d"])
    #expect(Sample.planner(keepsOrder: true).order(hosts).map(\.host.name) == ["a", "b", "c", "d"])
    #expect(Sample.planner().order([]).isEmpty)
  }

  @Test func withoutTheCorpusNoHostIsFirst() {
    let hosts = [
      Sample.host("a") {
        $0.corpus = .missing(reason: "gone"); $0.checkpoint = 9
      },
      Sample.host("b") { $0.corpus = .text }, Sample.host("c"), Sample.host("d"),
    ]
    #expect(Sample.planner().order(hosts).map(\.host.name) == ["c", "a", "b", "d"])
  }

  @Test func inOrderHostsStay() {
    let hosts = ["a", "b", "c"].map { Sample.host($0) }
    #expect(Sample.planner().order(hosts) == hosts)
    #expect(Sample.planner().faults(hosts).isEmpty)
  }

  // MARK: - Faults

  private func faults(
    _ planner: HostPlanner = Sample.planner(), slots: Int? = 2, _ change: (inout HostReport) -> Void
  ) -> [String] {
    planner.faults([Sample.host("a"), Sample.host("b", slots: slots, change)]).map(\.description)
  }

  @Test func otherProgramsAreRefused() {
    #expect(
      faults { $0.program = "0.0.9" } == [
        "b: expected lockstepd \(programVersion) at /opt/lockstepd, found 0.0.9; copy the program there from this host"
      ])
    #expect(
      faults { $0.digest = "fedcba9876543210" } == [
        "b: expected the same program at /opt/lockstepd as elsewhere (SHA-256 0123456789ab…), found another build of it "
          + "(fedcba987654…); copy the program there from this host"
      ])
    var planner = Sample.planner()
    planner.digest = nil
    #expect(faults(planner) { $0.digest = "fedcba9876543210" }.count == 1, "the first host's counts")
  }

  @Test func otherVersionsOfOpenMPIAreRefused() {
    #expect(
      faults { $0.library = "5.0.11" } == [
        "b: expected the library of Open MPI 4.1.4, like /usr/bin/mpirun, found 5.0.11; install that version there, or "
          + "put this one's mpirun first on PATH here"
      ])
    #expect(
      faults { $0.mpirun = nil } == [
        "b: expected Open MPI 4.1.4 at /usr/bin/mpirun, as here, found none; install that version there at the same path"
      ])
    #expect(faults { $0.mpirun = "4.1.5" }.count == 1)
    #expect(faults(Sample.planner(Sample.srun)) { $0.mpirun = nil }.isEmpty, "srun is Slurm's matter")
  }

  @Test func unequalCoresAreRefused() {
    #expect(
      faults(slots: 4) { $0.cores.count = 3 } == [
        "b: expected a core for each of its 4 slots (hosts:1), found 3; give it slots=3; hyperthreads do not count, nor "
          + "do cores it may not use"
      ])
    #expect(
      faults(Sample.planner(threads: 4), slots: nil) { $0.cores.count = 3 } == [
        "b: expected cores for the 4 threads of a rank, found 3; leave it out, or give ranks fewer with --threads"
      ])
  }

  @Test func otherTextsAreRefused() {
    let remedy = "let hosts share the folder or copy it there, or set corpus.distribute: true"
    #expect(
      faults { $0.corpus = .prepared(fingerprint: "0000") } == [
        "b: expected the corpus of a (fingerprint feedfacefeed…), found another one (0000…); \(remedy)"
      ])
    #expect(
      faults { $0.corpus = .text } == ["b: expected the tokens that a has prepared, found only text; \(remedy)"])
    #expect(
      faults { $0.corpus = .missing(reason: "no folder") } == [
        "b: expected the corpus of a, found none (no folder); \(remedy)"
      ])
    let hosts = [Sample.host("a"), Sample.host("b") { $0.corpus = .missing(reason: "no folder") }]
    #expect(Sample.planner(distributesCorpus: true).faults(hosts).isEmpty)
    #expect(Sample.planner(distributesCorpus: true).faults(hosts.reversed()).map(\.host) == ["b"])
  }

  @Test func allFaultsAreTold() {
    let hosts = [
      Sample.host("a") {
        $0.library = "5"; $0.mpirun = "5"
      }, Sample.host("b", slots: 8),
      Sample.host("c") {
        $0.program = "9"; $0.corpus = .text
      },
    ]
    #expect(Sample.planner().faults(hosts).map(\.host) == ["a", "a", "b", "c", "c"])
  }

  // MARK: - Ranks

  private func dealt(_ planner: HostPlanner, _ count: Int, _ hosts: [CheckedHost]) -> [String] {
    planner.deal(count, to: hosts).map { "\($0.host.host.name) \($0.ranks)" }
  }

  @Test func ranksFillOneHostAfterAnother() {
    let hosts = [Sample.host("a", slots: 2), Sample.host("b", slots: nil), Sample.host("c", slots: 3)]
    let planner = Sample.planner()
    #expect(planner.count(hosts) == (9, 9))
    #expect(dealt(planner, 9, hosts) == ["a 2", "b 4", "c 3"])
    #expect(dealt(planner, 3, hosts) == ["a 2", "b 1"])
    #expect(Sample.planner(ranks: 12).count(hosts) == (12, 9))
  }

  @Test func threadsTakeRoom() {
    let hosts = [Sample.host("a", slots: 4, cores: 5), Sample.host("b", slots: 1), Sample.host("c", slots: 4)]
    let planner = Sample.planner(threads: 2)
    #expect(planner.count(hosts) == (5, 5))
    #expect(dealt(planner, 5, hosts) == ["a 2", "b 1", "c 2"])
  }
}
