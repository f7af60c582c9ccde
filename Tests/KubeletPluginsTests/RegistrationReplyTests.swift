// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import KubeletPlugins

@Suite struct RegistrationReplyTests {
    private let directories = KubeletDirectories(root: "/var/lib/kubelet/")

    private func text(_ field: UInt8, _ text: String) -> [UInt8] {
        // The length as a varint of two bytes, which protobuf allows for short texts too.
        [field << 3 | 2, UInt8(text.utf8.count & 0x7F) | 0x80, UInt8(text.utf8.count >> 7)] + Array(text.utf8)
    }

    private func reply(
        type: String = "CSIPlugin",
        name: String = "a.example",
        endpoint: String = "/var/lib/kubelet/plugins/a/csi.sock",
        versions: [String] = ["1.0.0"]
    ) -> RegistrationReply {
        let bytes = text(1, type) + text(2, name) + text(3, endpoint) + versions.flatMap { text(4, $0) }
        return RegistrationReply(bytes, socket: "/var/lib/kubelet/plugins_registry/a.sock", directories: directories)
    }

    @Test func `the directories are those of the root`() {
        #expect(directories.pluginsRegistry == "/var/lib/kubelet/plugins_registry")
        #expect(directories.plugins == "/var/lib/kubelet/plugins")
        #expect(KubeletDirectories(root: "/").plugins == "/plugins")
    }

    @Test(
        arguments: [
            ("/var/lib/kubelet/plugins/a/csi.sock", true), ("/var/lib/kubelet/plugins_registry/b.sock", true),
            ("/var/lib/kubelet/plugins-of-vendor/csi.sock", false), ("/var/lib/kubelet/pluginsx", false),
            ("/run/csi.sock", false), ("/var/lib/kubelet/plugins/", false),
            ("/var/lib/kubelet//plugins/a/csi.sock", true), ("//var/lib/./kubelet/plugins//a/csi.sock", true),
        ]
    )
    func `an endpoint is used wherever it is, if it is an absolute path`(endpoint: String, isMounted: Bool) {
        let plugin = RegisteredPlugin(name: "a.example", endpoint: endpoint, versions: ["1.0.0"])
        #expect(reply(endpoint: endpoint) == .plugin(plugin, isMounted: isMounted))
    }

    @Test func `an empty endpoint is the registration socket`() {
        let plugin = RegisteredPlugin(
            name: "a.example",
            endpoint: "/var/lib/kubelet/plugins_registry/a.sock",
            versions: ["1.0.0"]
        )
        #expect(reply(endpoint: "") == .plugin(plugin, isMounted: true))
    }

    @Test(
        arguments: [
            "csi.sock", "unix:///run/csi.sock", "/var/lib/kubelet/plugins/../../../etc/x", "/..",
            "/" + String(repeating: "x", count: 107),
        ]
    )
    func `other endpoints are rejected`(endpoint: String) {
        guard case .rejected(let reason) = reply(endpoint: endpoint) else {
            Issue.record("accepted")
            return
        }
        #expect(reason.contains("a.example"))
        #expect(reason.utf8.count < 400)
    }

    @Test(
        arguments: [
            ("a", true), ("A.b-c.Example", true), ("0", true), (String(repeating: "a", count: 63), true),
            (String(repeating: "a", count: 64), false), ("", false), (".a", false), ("a.", false), ("a..b", false),
            ("-a", false), ("a-.b", false), ("a_b", false), ("a b", false), ("ä", false), ("a/b", false),
            ("a\n", false),
        ]
    )
    func `a driver's name is a DNS subdomain of at most 63 bytes`(name: String, isValid: Bool) {
        #expect(RegistrationReply.isDriverName(name) == isValid)
        if case .plugin = reply(name: name) { #expect(isValid) } else { #expect(!isValid) }
    }

    @Test func `versions are bounded`() {
        let long = String(repeating: "9", count: 65)
        guard case .plugin(let plugin, _) = reply(versions: [long] + (0..<40).map { "1.\($0).0" }) else {
            Issue.record("rejected")
            return
        }
        #expect(plugin.versions == (0..<16).map { "1.\($0).0" })
    }

    @Test func `other types are not read further`() {
        #expect(reply(type: "DRAPlugin", name: "///", endpoint: "x") == .otherType)
        #expect(RegistrationReply([], socket: "/a", directories: directories) == .otherType)
    }

    @Test func `bytes that are not a message may be better next time`() {
        guard case .failed(let reason) = RegistrationReply([0xFF], socket: "/a", directories: directories) else {
            Issue.record("accepted")
            return
        }
        #expect(reason.hasPrefix("the response of 1 bytes is not a PluginInfo"))
    }
}
