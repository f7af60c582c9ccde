// swift-tools-version: 6.2

import PackageDescription

/// The same for every target: Swift 6 mode, explicit imports and existentials, unsafe code marked, no warning.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "csi-health-monitor",
    platforms: [.macOS(.v15)],
    dependencies: [],
    targets: []
)
