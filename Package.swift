// swift-tools-version: 6.1

import PackageDescription

// pkg-config names differ between systems (RHEL says `hdf5` where Debian says `hdf5-serial`);
// launch/setup finds the right ones and launch/* export them.
let mpiPackage = Context.environment["LOCKSTEP_MPI_PKGCONFIG"] ?? "ompi-c"
let hdf5Package = Context.environment["LOCKSTEP_HDF5_PKGCONFIG"] ?? "hdf5-serial"

let library: [SwiftSetting] = [
  // Loops over floats run hundreds of times slower without optimisation: debug builds keep it.
  .unsafeFlags(["-O"], .when(configuration: .debug)),
  // Tests see internals of the release build too, so that programs and tests share the one build.
  .unsafeFlags(["-enable-testing"], .when(configuration: .release)),
]

// Symbols and debug information are twice the rest of a program: they stay in it on request, for a debugger or a profiler.
let keepsSymbols = Context.environment["LOCKSTEP_SYMBOLS"] != nil

// The programs carry the Swift run-time in themselves, so that one file runs where no Swift is installed. Said
// here and not with --static-swift-stdlib, because tests cannot be built so (there is no static Testing) and one
// build is to serve both.
let staticSwift: [LinkerSetting] =
  [
    .unsafeFlags(["-static-stdlib"]),
    // What the static Foundation rests on; autolinking would name these only for sources compiled for it.
    .linkedLibrary("FoundationInternationalization"), .linkedLibrary("FoundationEssentials"),
    .linkedLibrary("CoreFoundation"), .linkedLibrary("_FoundationICU"), .linkedLibrary("_FoundationCShims"),
    .linkedLibrary("_FoundationCollections"),
    // Nothing loads the programs as libraries: what they do not use themselves can go.
    .unsafeFlags(["-Xlinker", "--no-export-dynamic"]),
  ] + (keepsSymbols ? [] : [.unsafeFlags(["-Xlinker", "-s"])])

// The live page, whose files PageParts.swift joins.
let page = [
  "shell.html", "style.css", "elements.js", "server.js", "curves.js", "scales.js", "charts.js", "metrics.js", "run.js",
  "ranks.js",
  "samples.js", "messages.js", "buttons.js", "generation.js", "queue.js", "following.js", "start.js",
]

let package = Package(
  name: "Lockstep",
  products: [
    .executable(name: "lockstepd", targets: ["lockstepd"]),
    .executable(name: "lockstep", targets: ["lockstep"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.29.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.30.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    // C libraries: a module map and a shim header each.
    .systemLibrary(
      name: "CMPI", path: "Sources/Cluster/CMPI", pkgConfig: mpiPackage, providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(
      name: "CHDF5", path: "Sources/Data/CHDF5", pkgConfig: hdf5Package, providers: [.apt(["libhdf5-dev"])]),
    .systemLibrary(
      name: "CCrypto", path: "Sources/Data/CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CZlib", path: "Sources/Data/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CBZip2", path: "Sources/Data/CBZip2", providers: [.apt(["libbz2-dev"])]),
    .systemLibrary(
      name: "CLZMA", path: "Sources/Data/CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
    .systemLibrary(name: "COneDNN", path: "Sources/Numerics/COneDNN", providers: [.apt(["libdnnl-dev"])]),

    // Innermost loops, compiled for several sets of instructions.
    .target(
      name: "CKernels", path: "Sources/Numerics/CKernels",
      cSettings: [.unsafeFlags(["-O2"], .when(configuration: .debug))]),

    // From the floor up; imports point downward only.
    .target(name: "Files", dependencies: ["CCrypto"], path: "Sources/Data/Files", swiftSettings: library),
    .target(
      name: "PackedFiles", dependencies: ["Files", "CZlib", "CBZip2", "CLZMA"], path: "Sources/Data/PackedFiles",
      swiftSettings: library),
    .target(name: "Terminal", dependencies: ["Files"], path: "Sources/Data/Terminal", swiftSettings: library),
    .target(
      name: "Kernels", dependencies: ["COneDNN", "CKernels"], path: "Sources/Numerics/Kernels", swiftSettings: library),
    .target(name: "Corpus", dependencies: ["Files"], path: "Sources/Data/Corpus", swiftSettings: library),
    .target(name: "TaskMetrics", path: "Sources/Learning/TaskMetrics", swiftSettings: library),
    .target(name: "Networks", dependencies: ["Kernels"], path: "Sources/Learning/Networks", swiftSettings: library),
    .target(
      name: "Training",
      dependencies: [
        "Networks", "TaskMetrics", "Kernels", "Corpus", "Files", .product(name: "Yams", package: "Yams"),
      ],
      path: "Sources/Learning/Training",
      swiftSettings: library),
    .target(
      name: "HDF5Files", dependencies: ["Files", "CHDF5"], path: "Sources/Data/HDF5Files", swiftSettings: library),
    .target(
      name: "Checkpoints",
      dependencies: ["Training", "TaskMetrics", "HDF5Files", "Corpus", "Networks", "Kernels", "Files"],
      path: "Sources/Models/Checkpoints", swiftSettings: library),
    .target(
      name: "Safetensors",
      dependencies: ["Checkpoints", "Training", "Networks", "Corpus", "Kernels", "Files"],
      path: "Sources/Models/Safetensors", swiftSettings: library),
    .target(
      name: "ONNXFiles",
      dependencies: [
        "Checkpoints", "Training", "Networks", "Corpus", "Kernels", "Files",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], path: "Sources/Models/ONNXFiles", exclude: ["onnx.proto"], swiftSettings: library),
    .target(
      name: "CNGrams", path: "Sources/Models/CNGrams",
      cSettings: [.unsafeFlags(["-O2"], .when(configuration: .debug))]),
    .target(
      name: "NGramModels", dependencies: ["CNGrams", "PackedFiles", "HDF5Files", "Corpus", "Files"],
      path: "Sources/Models/NGramModels", swiftSettings: library),
    .target(
      name: "Inference",
      dependencies: [
        "NGramModels", "Safetensors", "Checkpoints", "HDF5Files", "Training", "Networks", "Corpus", "Kernels", "Files",
        .product(name: "Yams", package: "Yams"),
      ],
      path: "Sources/Models/Inference",
      swiftSettings: library),
    .target(
      name: "Tasks", dependencies: ["Inference", "Training", "Networks", "Corpus"], path: "Sources/Tasks/Tasks",
      swiftSettings: library),
    .target(
      name: "LanguageModeling", dependencies: ["Tasks", "Inference", "Training", "Networks", "Corpus"],
      path: "Sources/Tasks/LanguageModeling", swiftSettings: library),
    .target(
      name: "NGrams", dependencies: ["NGramModels", "CNGrams", "Corpus", "Files"], path: "Sources/Tasks/NGrams",
      swiftSettings: library),
    .target(
      name: "TaskRegistry", dependencies: ["LanguageModeling", "Tasks", "Training"],
      path: "Sources/Tasks/TaskRegistry", swiftSettings: library),
    .target(
      name: "Hosts", dependencies: ["Checkpoints", "Training", "Corpus", "Kernels", "Files"],
      path: "Sources/Runs/Hosts",
      swiftSettings: library),
    .target(
      name: "Replication", dependencies: ["Checkpoints", "HDF5Files", "Training", "Files"],
      path: "Sources/Runs/Replication", swiftSettings: library),
    .target(
      name: "Reporting", dependencies: ["Runs", "TaskMetrics", "Training", "Terminal", "Files"],
      path: "Sources/Runs/Reporting", swiftSettings: library),
    .target(
      name: "Runs",
      dependencies: [
        "Hosts", "Replication", "Terminal", "Tasks", "TaskMetrics", "Inference", "Checkpoints", "HDF5Files", "Training",
        "Corpus", "Networks", "Kernels", "Files",
      ], path: "Sources/Runs/Runs",
      swiftSettings: library),
    .target(name: "Plots", path: "Sources/Programs/Plots", swiftSettings: library),
    .target(
      name: "ProgramOptions",
      dependencies: [
        "ControlAPI", "Reporting", "Runs", "TaskRegistry", "Training", "Files",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/Programs/ProgramOptions",
      swiftSettings: library),
    .target(
      name: "Launching",
      dependencies: [
        "Heartbeats", "Runs", "Hosts", "Terminal", "Files", .product(name: "NIOPosix", package: "swift-nio"),
      ],
      path: "Sources/Cluster/Launching",
      swiftSettings: library),
    .target(name: "MPI", dependencies: ["CMPI"], path: "Sources/Cluster/MPI", swiftSettings: library),
    .target(
      name: "Sockets", dependencies: ["Files", .product(name: "NIOCore", package: "swift-nio")],
      path: "Sources/Cluster/Sockets", swiftSettings: library),
    .target(
      name: "ControlAPI", dependencies: ["TaskMetrics", "Files"], path: "Sources/Control/ControlAPI",
      swiftSettings: library),
    .target(
      name: "ControlServer",
      dependencies: [
        "ControlAPI", "TaskMetrics", "Files", "Sockets", .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"), .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
      ], path: "Sources/Control/ControlServer", exclude: ["Page/screenshot.png"],
      resources: page.map { Resource.embedInCode("Page/\($0)") }, swiftSettings: library),
    .target(
      name: "ControlClient",
      dependencies: [
        "ControlAPI", "TaskMetrics", "Files", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
      ], path: "Sources/Control/ControlClient", swiftSettings: library),
    .target(
      name: "Heartbeats",
      dependencies: [
        "Sockets", "Files", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOExtras", package: "swift-nio-extras"),
      ], path: "Sources/Cluster/Heartbeats", swiftSettings: library),
    .target(
      name: "MPIRanks",
      dependencies: [
        "Heartbeats", "Runs", "Hosts", "Terminal", "Training", "Kernels", "Files", "MPI",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ], path: "Sources/Cluster/MPIRanks", swiftSettings: library),
    .target(
      name: "Daemon",
      dependencies: [
        "ControlServer", "ControlAPI", "MPIRanks", "Runs", "Hosts", "Terminal", "TaskRegistry", "TaskMetrics",
        "Checkpoints", "Training", "Networks", "Kernels", "Files",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ], path: "Sources/Control/Daemon", swiftSettings: library),

    // The two programs.
    .executableTarget(
      name: "lockstepd",
      dependencies: [
        "Daemon", "ControlAPI", "ProgramOptions", "Reporting", "Runs", "Hosts", "Terminal", "TaskRegistry", "Training",
        "Networks", "Kernels", "MPI", "Files",
      ], path: "Sources/Programs/lockstepd",
      linkerSettings: staticSwift),
    .executableTarget(
      name: "lockstep",
      dependencies: [
        "ProgramOptions", "Launching", "ControlClient", "ControlAPI", "Plots", "NGrams", "NGramModels", "ONNXFiles",
        "Safetensors", "Inference", "Runs", "Hosts", "Terminal", "TaskRegistry", "TaskMetrics",
        "Checkpoints", "HDF5Files", "Training", "Networks", "Kernels", "Corpus", "Files",
      ], path: "Sources/Programs/lockstep", exclude: ["lockstep.1"],
      linkerSettings: staticSwift),

    .target(
      name: "TestSupport", dependencies: ["Checkpoints", "Training", "Networks", "Files"], path: "Tests/TestSupport"),
    .testTarget(name: "FilesTests", dependencies: ["Files", "TestSupport"]),
    .testTarget(name: "PackedFilesTests", dependencies: ["PackedFiles", "Files", "TestSupport"]),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "CKernels"]),
    .testTarget(name: "CorpusTests", dependencies: ["Corpus", "Files", "TestSupport"]),
    .testTarget(name: "NetworksTests", dependencies: ["Networks", "Kernels"]),
    .testTarget(name: "TrainingTests", dependencies: ["Training", "Networks", "Corpus", "Kernels", "TestSupport"]),
    .testTarget(name: "HDF5FilesTests", dependencies: ["HDF5Files", "Files", "TestSupport"]),
    .testTarget(
      name: "RunsTests",
      dependencies: [
        "Runs", "Hosts", "Replication", "TaskRegistry", "Checkpoints", "HDF5Files", "Training", "Networks", "Files",
        "TestSupport",
      ]),
    .testTarget(
      name: "SafetensorsTests",
      dependencies: ["Safetensors", "Checkpoints", "Training", "Networks", "Corpus", "Kernels", "Files", "TestSupport"]),
    .testTarget(
      name: "ONNXFilesTests",
      dependencies: ["ONNXFiles", "Checkpoints", "Training", "Networks", "Corpus", "Kernels", "Files", "TestSupport"]),
    .testTarget(name: "LaunchingTests", dependencies: ["Launching", "Heartbeats", "Hosts", "Runs"]),
    .testTarget(
      name: "InferenceTests",
      dependencies: [
        "Inference", "NGramModels", "Checkpoints", "Training", "Networks", "Corpus", "Files", "TestSupport",
      ]),
    .testTarget(
      name: "NGramModelsTests",
      dependencies: ["NGramModels", "HDF5Files", "PackedFiles", "Corpus", "Files", "TestSupport"]),
    .testTarget(
      name: "NGramsTests", dependencies: ["NGrams", "NGramModels", "Corpus", "Files", "TestSupport"]),
    .testTarget(name: "PlotsTests", dependencies: ["Plots", "TestSupport"]),
    .testTarget(
      name: "CheckpointsTests",
      dependencies: [
        "Checkpoints", "Training", "HDF5Files", "Networks", "Corpus", "Kernels", "Files", "TestSupport",
      ]),
    .executableTarget(
      name: "mpi-fixture", dependencies: ["MPIRanks", "Training", "Networks", "Kernels", "MPI", "CMPI"],
      path: "Tests/MPIFixture"),
    .testTarget(name: "MPITests", dependencies: ["TestSupport", "mpi-fixture"]),
    .testTarget(
      name: "ControlServerTests",
      dependencies: [
        "ControlServer", "ControlAPI", "Daemon", "Checkpoints", "Training", "Corpus", "Files", "TestSupport",
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      exclude: [
        "malformed_requests.py", "page_browser.py", "page_test.py", "page_tunnel.py", "schemathesis.sh",
      ]),
    .testTarget(
      name: "ControlClientTests",
      dependencies: [
        "ControlClient", "ControlAPI", "Files", "TestSupport", .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
      ]),
    .testTarget(
      name: "HeartbeatsTests", dependencies: ["Heartbeats", .product(name: "NIOPosix", package: "swift-nio")]),
    .testTarget(name: "MPIRanksTests", dependencies: ["MPIRanks"]),
    .testTarget(name: "DaemonTests", dependencies: ["Daemon", "ControlAPI", "Files", "TestSupport"]),
    .testTarget(
      name: "ProgramTests", dependencies: ["Checkpoints", "HDF5Files", "ControlAPI", "Files", "TestSupport"],
      exclude: ["idle_connections.py", "slurm.sh"]),
  ],
  swiftLanguageModes: [.v6]
)
