// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What an event on a flapping volume reports.
package struct FlappingState: Reportable {
    /// How often the volume has changed.
    package var changes: Int
    /// When the first of these changes was, on the clock of the core.
    package var since: Duration
    /// The latest state.
    package var state: VolumeState

    package init(changes: Int, since: Duration, state: VolumeState) {
        (self.changes, self.since, self.state) = (changes, since, state)
    }

    package var isClear: Bool { false }

    /// The same for each object and each time, so that there is one event.
    package var fingerprint: Fingerprint { Fingerprint(["flapping"]) }
}

extension ReportTiming {
    /// The event of a flapping volume: its count is raised and its text brought up to date every 30 minutes.
    package static let flapping = ReportTiming(refreshInterval: .seconds(30 * 60), messageInterval: .seconds(30 * 60))
}
