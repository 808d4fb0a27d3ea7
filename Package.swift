// swift-tools-version: 6.2
import PackageDescription

/// Set by `deploy/fuzz`, which builds the decoders with libFuzzer.
let isFuzzing = Context.environment["TOLLGATE_FUZZ"] != nil
/// `TOLLGATE_PLANTED_BUGS=1 swift build` compiles mistakes in, for the simulation to find.
let isPlanted = Context.environment["TOLLGATE_PLANTED_BUGS"] != nil

/// One strict set for every Swift target of ours: warnings are errors, existentials are spelled out.
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        // The decision crosses four modules; without this every small accessor would be a call.
        .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    ] + (isPlanted ? [.define("TOLLGATE_PLANTED_BUGS")] : [])
    + (isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : [])

let package = Package(
    name: "tollgate",
    products: [
        .executable(name: "tollgate", targets: ["tollgate"]),
        // The rig of deploy/faults, and what it preloads under the daemon.
        .executable(name: "tollgate-faults", targets: ["Faults"]),
        .library(name: "CFaults", type: .dynamic, targets: ["CFaults"]),
        .executable(name: "tollgate-simulate", targets: ["tollgate-simulate"]),
        // Preloaded under a daemon by tests: a disk that hangs, a clock that is wrong.
        .library(name: "CTrouble", type: .dynamic, targets: ["CTrouble"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CEcho"),
        .target(name: "CMemory"),
        .target(name: "Events", swiftSettings: strict),
        .target(name: "Ledger", dependencies: ["Events", "CMemory"], swiftSettings: strict),
        .target(name: "Wire", dependencies: ["Events"], swiftSettings: strict),
        .target(
            name: "Journal", dependencies: ["Events", "CLMDB", "CLinux"], swiftSettings: strict),
        // What is made of the log for finance, and for auditors.
        .target(
            name: "Reports", dependencies: ["Events", "Journal", "CLinux"], swiftSettings: strict),
        .target(
            name: "Audit",
            dependencies: [
                "Events", "Ledger", "Journal", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "Gate",
            dependencies: [
                "Events", "Ledger", "Wire", "Journal", "Reports", "Audit", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "tollgate",
            dependencies: [
                "Gate", "Events", "Wire", "Ledger", "Journal", "Reports", "Audit", "CLinux",
                "CLMDB", "CEcho",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict
        ),
        // The daemon without its sockets and disks, driven by a seed.
        .target(
            name: "Simulation",
            dependencies: [
                "Gate", "Events", "Ledger", "Journal", "Reports", "Audit", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "tollgate-simulate",
            dependencies: [
                "Simulation", "Events",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "TestSupport", dependencies: ["Events", "CLinux"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .target(name: "CMallocCount", path: "Tests/CMallocCount"),
        .target(name: "CFaults", path: "Tests/CFaults"),
        .executableTarget(
            name: "Faults",
            dependencies: [
                "Gate", "Ledger", "Journal", "Audit", "Simulation", "Events", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Faults", swiftSettings: strict),
        .target(name: "CTrouble", path: "Tests/CTrouble"),
        .testTarget(
            name: "EventsTests", dependencies: ["Events", "Gate", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "LedgerTests",
            dependencies: ["Ledger", "Events", "Wire", "TestSupport", "CMallocCount"],
            swiftSettings: strict),
        .testTarget(
            name: "WireTests", dependencies: ["Wire", "Events", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "JournalTests", dependencies: ["Journal", "Events", "CLinux", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ReportsTests", dependencies: ["Reports", "Journal", "Events", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "AuditTests",
            dependencies: [
                "Audit", "Ledger", "Journal", "Events", "CLinux", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            exclude: ["Vectors"], swiftSettings: strict),
        // Through the socket of the built daemon.
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "tollgate", "Gate", "Journal", "Reports", "Audit", "Ledger", "Events", "CLinux",
                "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.copy("Foreign")], swiftSettings: strict),
        // Short forms of what deploy/faults does.
        .testTarget(
            name: "FaultTests", dependencies: ["tollgate", "Faults", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation", "Events"],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", dependencies: ["TestSupport"], swiftSettings: strict),
        // What the fuzzers check, and the same as a quick test over what they have kept.
        .target(
            name: "FuzzTargets", dependencies: ["Events", "Ledger", "Wire", "Journal", "Audit"],
            path: "Tests/Fuzz/Targets", swiftSettings: strict),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets", "Events"], path: "Tests/Fuzz/Replay",
            swiftSettings: strict),
    ]
)

if isFuzzing {
    package.targets.append(
        .executableTarget(
            name: "Fuzz", dependencies: ["FuzzTargets", "Events"], path: "Tests/Fuzz/Runner",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]))
}
