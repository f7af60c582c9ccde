// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "csi-health-monitor",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        // The next two without their default traits, which would bring Foundation and ICU into the binary.
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // For the simulated servers of HealthMonitorTestKit only.
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    ]
)

// MARK: Ships, in Sources

package.targets.append(
    .executableTarget(
        name: "csi-health-monitor",
        dependencies: [
            "CBuildSettings", "CGlibc", "CSIClient", "ControllerCore", "ControllerMonitor", "DriverCheck", "Flags",
            "GRPCTransport", "HTTPEndpoint", "HealthCore", "HealthRuntime", "KlogLogging", "KubeletPlugins",
            "KubernetesAPI", "KubernetesClient", "LeaderElection", "Metrics", "NodeCore", "NodeMonitor",
            "VolumeStatus", .argumentParser, .logging, .serviceLifecycle, .unixSignals,
        ],
        swiftSettings: .handwrittenWithVersion
    )
)
package.targets += modules([
    "CSIClient": ["CSISpec", "GRPCTransport", "HealthCore", "ProtobufWire", .logging, .swiftProtobuf],
    "CompactStorage": [], "Metrics": [], "ProtobufWire": [], "Threads": [], "HealthCore": [.heapModule],
    "ControllerMonitor": [
        "CSIClient", "ControllerCore", "HealthCore", "HealthRuntime", "KubernetesAPI", "KubernetesClient",
        "ProtobufWire", .logging,
    ],
    "ControllerCore": ["CompactStorage", "HealthCore"], "Digests": ["COpenSSL"], "KlogLogging": [.logging],
    "DriverCheck": [
        "CSISpec", "ControllerMonitor", "GRPCTransport", "HealthCore", "NodeCore", "NodeMonitor", .swiftProtobuf,
    ],
    "Flags": [
        "ControllerCore", "ControllerMonitor", "DriverCheck", "GRPCTransport", "HTTPEndpoint", "HealthCore",
        "HealthRuntime", "KlogLogging", "KubernetesClient", "LeaderElection", "NodeCore", "NodeMonitor",
        .argumentParser,
    ],
    "HTTPEndpoint": ["Metrics", .logging, .nioCore, .nioHTTP1, .nioPosix],
    "GRPCTransport": ["CGRPC", "Threads"], "HTTPTransport": ["CCurl", "COpenSSL", "Threads"],
    "HealthRuntime": ["CSIClient", "HealthCore", "KubernetesAPI", "KubernetesClient", .logging],
    "KubeletPlugins": ["GRPCTransport", "HealthCore", "KubernetesAPI", .logging, .swiftProtobuf],
    "KubernetesClient": [
        "CYAML", "HTTPTransport", "KubernetesAPI", "ProtobufWire", .logging, .subprocess, .swiftProtobuf,
        .systemPackage,
    ],
    "LeaderElection": ["KubernetesAPI", "KubernetesClient", .logging], "NodeCore": ["Digests", "HealthCore"],
    "NodeMonitor": [
        "CSIClient", "GRPCTransport", "HealthCore", "HealthRuntime", "KubeletPlugins", "KubernetesAPI",
        "KubernetesClient", "NodeCore", .logging,
    ],
    "VolumeStatus": ["HealthCore", "KubernetesAPI", "KubernetesClient", "ProtobufWire", .logging],
])
let generated: Imports = ["CSISpec": [.swiftProtobuf], "KubernetesAPI": ["ProtobufWire", .swiftProtobuf]]
package.targets += modules(generated, settings: .generated)
package.targets += ["CBuildSettings", "CCurl", "CGRPC", "CGlibc", "COpenSSL", "CYAML"].map { .systemLibrary(name: $0) }

// MARK: Tests, in Tests, and the kit that they share with the tools

package.targets += modules([
    "HealthMonitorTestKit": [
        "CGRPC", "CGlibc", "GRPCTransport", "Threads", .crypto, .nioCore, .nioHTTP1, .nioHTTP2, .nioPosix, .nioSSL,
        .subprocess, .swiftASN1, .systemPackage, .x509,
    ]
])
package.targets += tests([
    "CommandTests": [
        "CSIClient", "ControllerCore", "ControllerMonitor", "DriverCheck", "Flags", "GRPCTransport", "HTTPEndpoint",
        "HealthCore", "HealthRuntime", "KlogLogging", "KubernetesAPI", "KubernetesClient", "LeaderElection",
        "Metrics", "NodeCore", "NodeMonitor", "VolumeStatus", "csi-health-monitor", .argumentParser,
    ],
    "ControllerCoreTests": ["CompactStorage", "ControllerCore", "HealthCore"], "HTTPTransportTests": ["HTTPTransport"],
    "ControllerMonitorTests": [
        "CSIClient", "ControllerCore", "ControllerMonitor", "GRPCTransport", "HTTPTransport", "HealthCore",
        "HealthRuntime", "KubernetesAPI", "KubernetesClient", "LeaderElection", .swiftProtobuf,
    ],
    "CSIClientTests": ["CSIClient", "CSISpec", "GRPCTransport"], "GRPCTransportTests": ["GRPCTransport"],
    "HTTPEndpointTests": ["HTTPEndpoint", "Metrics", .nioCore, .nioHTTP1, .nioPosix],
    "HealthMonitorTestKitTests": [
        "GRPCTransport", "HTTPTransport", "KubernetesAPI", .swiftASN1, .swiftProtobuf, .x509,
    ],
    "KlogLoggingTests": ["KlogLogging"], "MetricsTests": ["Metrics"], "ProtobufWireTests": ["ProtobufWire"],
    "KubeletPluginsTests": ["GRPCTransport", "HealthCore", "KubeletPlugins"], "ToolsTests": ["tools", .argumentParser],
    "KubernetesClientTests": ["HTTPTransport", "KubernetesAPI", "KubernetesClient", .swiftProtobuf],
    "LeaderElectionTests": ["KubernetesAPI", "KubernetesClient", "LeaderElection"], "ThreadsTests": ["Threads"],
    "NodeMonitorTests": [
        "CSIClient", "GRPCTransport", "HealthCore", "HealthRuntime", "KubeletPlugins", "KubernetesAPI",
        "KubernetesClient", "NodeCore", "NodeMonitor",
    ],
    "DriverCheckTests": ["DriverCheck", "GRPCTransport"], "NodeCoreTests": ["Digests", "HealthCore", "NodeCore"],
    "VolumeStatusTests": ["HealthCore", "KubernetesAPI", "KubernetesClient", "VolumeStatus"],
])
package.targets += tests(["FuzzTargetsTests": ["FuzzTargets"]], exclude: ["Corpora"])

// MARK: Tools, in scripts/tools, which the scripts run

package.targets += tools([
    // A program of its own, because it replaces malloc.
    "allocations": [
        "CAllocationCounter", "CSIClient", "CSISpec", "ControllerCore", "ControllerMonitor", "HealthCore",
        "HealthRuntime", "KubernetesAPI", "KubernetesClient", .swiftProtobuf,
    ],
    "tools": [
        "CSISpec", "GRPCTransport", "HealthMonitorTestKit", "KubernetesAPI", "KubernetesClient", .argumentParser,
        .logging, .subprocess, .swiftProtobuf, .systemPackage, .unixSignals,
    ],
])
package.targets += modules(
    [
        "CAllocationCounter": [],
        "FuzzTargets": [
            "CSIClient", "CSISpec", "ControllerCore", "ControllerMonitor", "Flags", "HTTPEndpoint", "HTTPTransport",
            "HealthCore", "HealthRuntime", "KubeletPlugins", "KubernetesAPI", "KubernetesClient", "LeaderElection",
            "Metrics", "NodeCore", "NodeMonitor", "ProtobufWire", .argumentParser, .nioCore, .nioEmbedded,
            .swiftProtobuf,
        ],
    ],
    in: "scripts/tools"
)
// It links only with libFuzzer's main, which scripts/fuzz.sh brings.
if Context.environment["CSI_HEALTH_MONITOR_FUZZING"] != nil {
    let settings: [SwiftSetting] = .handwritten + [.unsafeFlags(["-parse-as-library"])]
    package.targets += tools(["fuzzer": ["FuzzTargets"]], settings: settings)
}

// MARK: Helpers

/// What each target imports, by its name.
typealias Imports = KeyValuePairs<String, [Target.Dependency]>

func modules(_ imports: Imports, in root: String = "Sources", settings: [SwiftSetting] = .handwritten) -> [Target] {
    imports.map { .target(name: $0, dependencies: $1, path: "\(root)/\($0)", swiftSettings: settings) }
}

func tools(_ imports: Imports, settings: [SwiftSetting] = .handwritten) -> [Target] {
    imports.map { .executableTarget(name: $0, dependencies: $1, path: "scripts/tools/\($0)", swiftSettings: settings) }
}

/// Every test may use the test kit and keep logs in memory.
func tests(_ imports: Imports, exclude: [String] = []) -> [Target] {
    let kit: [Target.Dependency] = ["HealthMonitorTestKit", .inMemoryLogging, .logging]
    return imports.map { .testTarget(name: $0, dependencies: $1 + kit, exclude: exclude, swiftSettings: .handwritten) }
}

extension [SwiftSetting] {
    /// For generated code: Swift 6 mode, explicit imports and existentials, no warnings.
    static var generated: Self {
        let features = ["ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility"]
        return [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)] + features.map { .enableUpcomingFeature($0) }
    }

    /// For all other code: what is unsafe is marked too, which protoc-gen-swift does not do.
    static var handwritten: Self { generated + [.strictMemorySafety()] }

    /// With the version and the commit, which scripts/build.sh sets. For one target only: a new commit does not compile
    /// everything again.
    static var handwrittenWithVersion: Self {
        let names = ["CSI_HEALTH_MONITOR_VERSION", "CSI_HEALTH_MONITOR_REVISION"]
        let flags = names.flatMap { name in Context.environment[name].map { ["-Xcc", "-D\(name)=\($0)"] } ?? [] }
        return handwritten + (flags.isEmpty ? [] : [.unsafeFlags(flags)])
    }
}

extension Target.Dependency {
    static var argumentParser: Self { .product(name: "ArgumentParser", package: "swift-argument-parser") }
    static var crypto: Self { .product(name: "Crypto", package: "swift-crypto") }
    static var heapModule: Self { .product(name: "HeapModule", package: "swift-collections") }
    static var inMemoryLogging: Self { .product(name: "InMemoryLogging", package: "swift-log") }
    static var logging: Self { .product(name: "Logging", package: "swift-log") }
    static var nioCore: Self { .product(name: "NIOCore", package: "swift-nio") }
    static var nioEmbedded: Self { .product(name: "NIOEmbedded", package: "swift-nio") }
    static var nioHTTP1: Self { .product(name: "NIOHTTP1", package: "swift-nio") }
    static var nioHTTP2: Self { .product(name: "NIOHTTP2", package: "swift-nio-http2") }
    static var nioPosix: Self { .product(name: "NIOPosix", package: "swift-nio") }
    static var nioSSL: Self { .product(name: "NIOSSL", package: "swift-nio-ssl") }
    static var serviceLifecycle: Self { .product(name: "ServiceLifecycle", package: "swift-service-lifecycle") }
    static var subprocess: Self { .product(name: "Subprocess", package: "swift-subprocess") }
    static var swiftASN1: Self { .product(name: "SwiftASN1", package: "swift-asn1") }
    static var swiftProtobuf: Self { .product(name: "SwiftProtobuf", package: "swift-protobuf") }
    static var systemPackage: Self { .product(name: "SystemPackage", package: "swift-system") }
    static var unixSignals: Self { .product(name: "UnixSignals", package: "swift-service-lifecycle") }
    static var x509: Self { .product(name: "X509", package: "swift-certificates") }
}
