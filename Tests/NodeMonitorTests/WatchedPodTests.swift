// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import KubernetesAPI
import NodeCore
import SwiftProtobuf
import Testing

@testable import CSIClient
@testable import NodeMonitor

/// Pods, claims and volumes as they are read from bytes.
@Suite struct WatchedPodTests {
    private func read(_ pod: Pod) throws -> WatchedPod {
        let bytes: [UInt8] = try pod.serializedBytes()
        return try WatchedPod(reading: bytes.span)
    }

    private func pod(_ change: (inout Pod) -> Void = { _ in }) -> Pod {
        var pod = Pod()
        pod.metadata.namespace = "shop"
        pod.metadata.name = "app"
        pod.metadata.uid = "uid"
        pod.metadata.resourceVersion = "7"
        pod.spec.nodeName = "node-1"
        pod.status.phase = "Running"
        change(&pod)
        return pod
    }

    private func volume(_ name: String, _ change: (inout VolumeSource) -> Void) -> Volume {
        .with {
            $0.name = name
            change(&$0.volumeSource)
        }
    }

    @Test func `the volumes that containers of any kind use are read`() throws {
        let used = try read(
            pod {
                $0.spec.volumes = [
                    volume("data") { $0.persistentVolumeClaim.claimName = "claim" },
                    volume("cache") { $0.ephemeral = .init() },
                    volume("scratch") { $0.csi.driver = "driver" },
                    volume("unused") { $0.persistentVolumeClaim.claimName = "other" },
                    volume("config") { _ in },
                ]
                $0.spec.containers = [.with { $0.volumeMounts = [.with { $0.name = "data" }] }]
                $0.spec.initContainers = [.with { $0.volumeDevices = [.with { $0.name = "cache" }] }]
                $0.spec.ephemeralContainers = [
                    .with {
                        $0.ephemeralContainerCommon.name = "debugger"
                        $0.ephemeralContainerCommon.volumeMounts = [.with { $0.name = "scratch" }]
                    },
                    .with { $0.ephemeralContainerCommon.volumeMounts = [.with { $0.name = "config" }] },
                ]
                $0.status.ephemeralContainerStatuses = [
                    .with {
                        $0.name = "debugger"
                        $0.state.running = .init()
                    }
                ]
            }
        )
        #expect(
            NodePod(used)
                == NodePod(
                    namespace: "shop",
                    name: "app",
                    uid: "uid",
                    isStarted: true,
                    volumes: [
                        PodVolume(name: "data", source: .claim("claim")),
                        PodVolume(name: "cache", source: .genericEphemeral),
                        PodVolume(name: "scratch", source: .inline(driver: "driver")),
                    ]
                )
        )
        #expect(used.resourceVersion == "7")
    }

    @Test func `a volume that only an ephemeral container uses counts when that container has started`() throws {
        let states: [(isUsed: Bool, (inout ContainerStatus) -> Void)] = [
            (false, { _ in }),
            (false, { $0.state.waiting = .init() }),
            (true, { $0.state.running = .init() }),
            (true, { $0.state.terminated = .init() }),
            (true, { $0.containerID = "containerd://1" }),
            // The status of another container.
            (
                false,
                {
                    $0.name = "earlier"
                    $0.state.terminated = .init()
                }
            ),
        ]
        for (number, state) in states.enumerated() {
            let watched = try read(
                pod {
                    $0.spec.volumes = [volume("data") { $0.persistentVolumeClaim.claimName = "claim" }]
                    $0.spec.containers = [.with { $0.name = "app" }]
                    $0.spec.ephemeralContainers = [
                        .with {
                            $0.ephemeralContainerCommon.name = "debugger"
                            $0.ephemeralContainerCommon.volumeDevices = [.with { $0.name = "data" }]
                        }
                    ]
                    $0.status.containerStatuses = [.with { $0.state.running = .init() }]
                    var status = ContainerStatus.with { $0.name = "debugger" }
                    state.1(&status)
                    $0.status.ephemeralContainerStatuses = [status]
                }
            )
            #expect(watched.isStarted)
            #expect(NodePod(watched).volumes.map(\.name) == (state.isUsed ? ["data"] : []), "case \(number)")
        }
    }

    @Test func `a pod has started when its sandbox can be created, or a container was`() throws {
        let changes: [(started: Bool, (inout Pod) -> Void)] = [
            (false, { _ in }),
            (true, { $0.status.conditions = [.with { ($0.type, $0.status) = ("PodReadyToStartContainers", "True") }] }),
            (
                false,
                { $0.status.conditions = [.with { ($0.type, $0.status) = ("PodReadyToStartContainers", "False") }] }
            ),
            (false, { $0.status.conditions = [.with { ($0.type, $0.status) = ("Initialized", "True") }] }),
            (true, { $0.status.containerStatuses = [.with { $0.state.running = .init() }] }),
            (true, { $0.status.initContainerStatuses = [.with { $0.state.terminated = .init() }] }),
            (true, { $0.status.ephemeralContainerStatuses = [.with { $0.containerID = "containerd://1" }] }),
            (true, { $0.status.containerStatuses = [.with { $0.lastState.terminated = .init() }] }),
            (false, { $0.status.containerStatuses = [.with { $0.state.waiting = .init() }] }),
            (
                false,
                {
                    // After a restart of the node.
                    $0.status.conditions = [.with { ($0.type, $0.status) = ("PodReadyToStartContainers", "False") }]
                    $0.status.containerStatuses = [.with { $0.lastState.terminated = .init() }]
                }
            ),
        ]
        for (number, change) in changes.enumerated() {
            #expect(try read(pod(change.1)).isStarted == change.started, "case \(number)")
        }
    }

    @Test func `after a reboot, only a sandbox that was created since counts`() throws {
        let running = try read(pod { $0.status.containerStatuses = [.with { $0.state.running = .init() }] })
        #expect(running.isStarted)
        #expect(!running.hasStarted(sinceBoot: 100))
        for (status, time, started) in [("True", 99, false), ("True", 100, true), ("False", 101, false)] {
            let watched = try read(
                pod {
                    $0.status.conditions = [
                        .with {
                            ($0.type, $0.status) = ("PodReadyToStartContainers", status)
                            $0.lastTransitionTime.seconds = Int64(time)
                        }
                    ]
                }
            )
            #expect(watched.hasStarted(sinceBoot: 100) == started)
            #expect(NodePod(watched, sinceBoot: 100).isStarted == started)
        }
    }

    @Test func `the end of a pod is read`() throws {
        #expect(try !NodePod(read(pod())).isOver)
        for phase in ["Succeeded", "Failed"] { #expect(try read(pod { $0.status.phase = phase }).hasEnded) }
        #expect(try NodePod(read(pod { $0.metadata.deletionTimestamp.seconds = 1 })).isDeleting)
        #expect(try NodePod(read(pod { $0.metadata.annotations["kubernetes.io/config.mirror"] = "hash" })).isMirror)
        #expect(try !NodePod(read(pod { $0.metadata.annotations["kubernetes.io/config.hash"] = "hash" })).isMirror)
    }

    @Test func `of gates and conditions only those of drivers are kept`() throws {
        let type = "driver.example.com/volumes-healthy"
        let pod = try NodePod(
            read(
                pod {
                    $0.spec.readinessGates = [
                        .with { $0.conditionType = type }, .with { $0.conditionType = "example.com/other" },
                    ]
                    $0.status.conditions = [
                        .with { ($0.type, $0.status) = ("Ready", "True") },
                        .with { ($0.type, $0.status, $0.reason, $0.message) = (type, "False", "R", "m") },
                    ]
                }
            )
        )
        #expect(pod.readinessGates == [type])
        #expect(
            pod.conditions == [NodeCore.PodCondition(type: type, status: "False", reason: "R", message: "m")]
        )
    }

    @Test func `texts that are not UTF-8 or too long spoil no pod`() throws {
        let data = volume("data") { $0.persistentVolumeClaim.claimName = "??" }
        var bytes: [UInt8] = try pod { $0.spec.volumes = [data] }.serializedBytes()
        let position = try #require(bytes.firstIndex(of: UInt8(ascii: "?")))
        bytes[position] = 0xFF
        let watched = try WatchedPod(reading: bytes.span)
        #expect(watched.pod.spec.volumes.first?.volumeSource.persistentVolumeClaim.claimName == "\u{FFFD}?")

        let long = try read(pod { $0.metadata.name = String(repeating: "a", count: 254) })
        #expect(long.pod.metadata.name.isEmpty)
        #expect(long.pod.metadata.namespace == "shop")
        #expect(throws: (any Error).self) { try WatchedPod(reading: Array(bytes.dropLast()).span) }
    }

    @Test func `a claim's volume and controller are read`() throws {
        let claim = PersistentVolumeClaim.with {
            $0.metadata.uid = "uid"
            $0.metadata.ownerReferences = [
                .with { $0.uid = "owner" },
                .with { ($0.uid, $0.controller) = ("controller", true) },
            ]
            $0.spec.volumeName = "pv"
            $0.status.phase = "Bound"
        }
        let bytes: [UInt8] = try claim.serializedBytes()
        #expect(
            ClaimFacts(try ClaimBinding(reading: bytes.span))
                == ClaimFacts(uid: "uid", isBound: true, volumeName: "pv", controllerUID: "controller")
        )
    }

    @Test func `a volume's handle is read as it is`() throws {
        let volume = PersistentVolume.with {
            $0.metadata.name = "pv"
            $0.spec.claimRef.uid = "uid"
            $0.spec.persistentVolumeSource.csi.driver = "driver"
            $0.spec.persistentVolumeSource.csi.volumeHandle = String(repeating: "h", count: 300)
            $0.spec.volumeMode = "Block"
        }
        var bytes: [UInt8] = try volume.serializedBytes()
        #expect(
            VolumeFacts(try VolumeBinding(reading: bytes.span))
                == VolumeFacts(
                    name: "pv",
                    claimUID: "uid",
                    driver: "driver",
                    volumeHandle: String(repeating: "h", count: 300),
                    isBlock: true
                )
        )
        let position = try #require(bytes.firstIndex(of: UInt8(ascii: "h")))
        bytes[position] = 0xFF
        #expect(throws: (any Error).self) { try VolumeBinding(reading: bytes.span) }
    }

    @Test func `each gRPC status counts as one kind of failure`() {
        let kinds: [(GRPCStatus.Code, NodeProbeFailure)] = [
            (.notFound, .notFound), (.invalidArgument, .invalidArgument), (.internal, .internal),
            (.deadlineExceeded, .deadlineExceeded), (.aborted, .aborted), (.unimplemented, .unimplemented),
            (.unavailable, .unavailable), (.permissionDenied, .other), (.unknown, .other),
        ]
        for (code, failure) in kinds {
            #expect(NodeProbeFailure(CSIError(code: .status(code), method: "m", message: "")) == failure)
        }
        #expect(NodeProbeFailure(CSIError(code: .invalidResponse, method: "m", message: "")) == .other)
    }
}
