// swift-tools-version: 6.2

import PackageDescription

/// For modules of generated code: Swift 6 mode, explicit imports and existentials, no warning.
let generatedSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// For every other target; there, unsafe code is marked too. protoc-gen-swift does not mark its own.
let settings: [SwiftSetting] = generatedSettings + [.strictMemorySafety()]

/// The commit for the metric csi_volume_health_build_info; scripts/build.sh sets it. Of the one target that shows it, so
/// that another commit does not compile everything again.
let revisionSettings: [SwiftSetting] =
    Context.environment["CSI_HEALTH_MONITOR_REVISION"].map {
        [.unsafeFlags(["-Xcc", "-DCSI_HEALTH_MONITOR_REVISION=\($0)"])]
    } ?? []

let package = Package(
    name: "csi-health-monitor",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // Without its default traits, which would bring Foundation and ICU into the binary.
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // Without its default traits, which would bring Foundation.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "allocation-tester",
            dependencies: [
                "CAllocationCounter",
                "CSIClient",
                "CSISpec",
                "ControllerMonitor",
                "HealthRuntime",
                "KubernetesAPI",
                "KubernetesClient",
                "ControllerCore",
                "HealthCore",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .target(name: "CAllocationCounter"),
        .systemLibrary(name: "CBuildSettings"),
        .systemLibrary(name: "CCurl"),
        .systemLibrary(name: "CGRPC"),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "COpenSSL"),
        .executableTarget(
            name: "chaos-tester",
            dependencies: [
                "HealthMonitorTestKit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "CSIClient",
                "Diagnostics",
                "Flags",
                "GRPCTransport",
                "ControllerMonitor",
                "HealthRuntime",
                "HealthMonitorTestKit",
                "KubernetesAPI",
                "KubernetesClient",
                "LeaderElection",
                "ControllerCore",
                "HealthCore",
                "csi-health-monitor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "csi-health-monitor",
            dependencies: [
                "CBuildSettings",
                "CMalloc",
                "CSIClient",
                "Diagnostics",
                "Flags",
                "GRPCTransport",
                "ControllerMonitor",
                "HealthRuntime",
                "KubernetesAPI",
                "KubernetesClient",
                "LeaderElection",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings + revisionSettings
        ),
        .target(
            name: "CSIClient",
            dependencies: [
                "CSISpec",
                "GRPCTransport",
                "ProtobufWire",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CSIClientTests",
            dependencies: [
                "CSIClient",
                "CSISpec",
                "GRPCTransport",
                "HealthMonitorTestKit",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "CSISpec",
            dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
            swiftSettings: generatedSettings
        ),
        .systemLibrary(name: "CYAML"),
        .target(
            name: "Diagnostics",
            dependencies: [
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "DiagnosticsTests",
            dependencies: [
                "Diagnostics",
                "HealthMonitorTestKit",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Flags",
            dependencies: [
                "Diagnostics",
                "GRPCTransport",
                "ControllerMonitor",
                "HealthRuntime",
                "LeaderElection",
                "ControllerCore",
                "HealthCore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "CSIClient",
                "CSISpec",
                "Diagnostics",
                "Flags",
                "HTTPTransport",
                "ControllerMonitor",
                "HealthRuntime",
                "KubernetesAPI",
                "KubernetesClient",
                "LeaderElection",
                "ProtobufWire",
                "ControllerCore",
                "HealthCore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "FuzzTargetsTests",
            dependencies: ["FuzzTargets", "HealthMonitorTestKit"],
            exclude: ["Corpora"],
            swiftSettings: settings
        ),
        .target(
            name: "GRPCTransport",
            dependencies: ["CGRPC"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GRPCTransportTests",
            dependencies: ["GRPCTransport", "HealthMonitorTestKit"],
            swiftSettings: settings
        ),
        .target(
            name: "HTTPTransport",
            dependencies: ["CCurl", "COpenSSL"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HTTPTransportTests",
            dependencies: ["HTTPTransport", "HealthMonitorTestKit"],
            swiftSettings: settings
        ),
        .target(
            name: "HealthRuntime",
            dependencies: [
                "CSIClient",
                "HealthCore",
                "KubernetesAPI",
                "KubernetesClient",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "ControllerMonitor",
            dependencies: [
                "ControllerCore",
                "CSIClient",
                "HealthCore",
                "HealthRuntime",
                "KubernetesAPI",
                "KubernetesClient",
                "ProtobufWire",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ControllerMonitorTests",
            dependencies: [
                "CSIClient",
                "GRPCTransport",
                "ControllerMonitor",
                "HealthRuntime",
                "HealthMonitorTestKit",
                "KubernetesAPI",
                "KubernetesClient",
                "LeaderElection",
                "ControllerCore",
                "HealthCore",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "HealthMonitorTestKit",
            dependencies: [
                "GRPCTransport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HealthMonitorTestKitTests",
            dependencies: [
                "GRPCTransport",
                "HTTPTransport",
                "HealthMonitorTestKit",
                "KubernetesAPI",
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "KubernetesAPI",
            dependencies: ["ProtobufWire", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
            swiftSettings: generatedSettings
        ),
        .target(
            name: "KubernetesClient",
            dependencies: [
                "CYAML",
                "HTTPTransport",
                "KubernetesAPI",
                "ProtobufWire",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "KubernetesClientTests",
            dependencies: [
                "HTTPTransport",
                "HealthMonitorTestKit",
                "KubernetesAPI",
                "KubernetesClient",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "LeaderElection",
            dependencies: [
                "KubernetesAPI",
                "KubernetesClient",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LeaderElectionTests",
            dependencies: [
                "HealthMonitorTestKit",
                "KubernetesAPI",
                "KubernetesClient",
                "LeaderElection",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "InMemoryLogging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "performance-tester",
            dependencies: [
                "CSISpec",
                "GRPCTransport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PerformanceTesterTests",
            dependencies: [
                "performance-tester",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "ProtobufWire",
            swiftSettings: settings
        ),
        .testTarget(
            name: "ProtobufWireTests",
            dependencies: ["ProtobufWire"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "simulated-cluster",
            dependencies: [
                "HealthMonitorTestKit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "CompactStorage",
            swiftSettings: settings
        ),
        .target(
            name: "HealthCore",
            dependencies: [.product(name: "HeapModule", package: "swift-collections")],
            swiftSettings: settings
        ),
        .target(
            name: "ControllerCore",
            dependencies: ["CompactStorage", "HealthCore"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ControllerCoreTests",
            dependencies: ["CompactStorage", "ControllerCore", "HealthCore", "HealthMonitorTestKit"],
            swiftSettings: settings
        ),
    ]
)

// It has no main: libFuzzer does, which scripts/fuzz.sh links.
if Context.environment["CSI_HEALTH_MONITOR_FUZZING"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzzer",
            dependencies: ["FuzzTargets"],
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])]
        )
    )
}
