// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// When events on volumes may be recorded after the watch of pods has failed.
///
/// During an outage of the API server, pods end and the kubelet unmounts their volumes. The kubelet writes what it
/// could not write before in its next batch, up to ten seconds after the server is back (k8s.io/kubernetes,
/// pkg/kubelet/status/status_manager.go, `syncPeriod`). Until then neither the watch nor a look at the pod shows that
/// it has ended.
///
/// | The watch | Events |
/// |---|---|
/// | has failed, and is not open again | wait |
/// | is open again, for less than the delay | wait until then |
/// | has ended regularly | as before |
/// | was opened again ``maximumDelays`` times, and never lasted | do not wait while it is open |
///
/// Pure: time is passed in.
struct PodWatchSettling: Sendable {
    /// Otherwise a proxy that cuts every watch early would hold back all events.
    static let maximumDelays = 4

    private let delay: Duration
    private var isFailing = false
    /// When the last delay ends.
    private var end = Duration.zero
    /// How many delays have begun since events did not wait.
    private var delays = 0
    /// How often the watch was opened again.
    private(set) var openings: UInt64 = 0

    /// - Parameter delay: how long events wait after the watch is open again.
    init(delay: Duration) {
        self.delay = delay
    }

    /// An attempt to watch failed, or an open watch did.
    mutating func failed(at now: Duration) {
        if isSettled(at: now) { delays = 0 }
        isFailing = true
    }

    /// The watch is open.
    mutating func opened(at now: Duration) {
        guard isFailing else { return }
        isFailing = false
        openings += 1
        guard delays < Self.maximumDelays else { return }
        delays += 1
        end = now + delay
    }

    /// Until when events wait; nil: until the watch is open.
    var settles: Duration? { isFailing ? nil : end }

    /// Whether events may be recorded.
    func isSettled(at now: Duration) -> Bool { settles.map { $0 <= now } ?? false }
}
