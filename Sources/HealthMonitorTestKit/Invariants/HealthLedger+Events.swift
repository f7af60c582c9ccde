// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension HealthLedger {
    /// Records a request that the API server served.
    package mutating func record(_ record: RequestRecord, at now: Duration) {
        guard record.isWritten else { return }
        switch (record.request.resource, record.request.subresource) {
        case ("leases", ""): recordLease(record.request.body)
        case ("events", ""):
            // The event of a change of leader is retried after a fault, and says nothing of a volume.
            if record.request.body?["reason"] != "LeaderElection" { writes += 1 }
            recordEvent(record.request, at: now)
        case ("persistentvolumeclaims", "status"), ("pods", "status"): writes += 1
        default: break
        }
    }

    private mutating func recordEvent(_ request: APIRequest, at now: Duration) {
        guard let body = request.body else { return }
        let name = request.verb == .create ? body["metadata", "name"]?.string ?? "" : request.name
        let key = "\(request.namespace)/\(name)"
        var event = events[key]
        if request.verb == .create {
            event = Event(
                kind: body["involvedObject", "kind"]?.string ?? "",
                uid: body["involvedObject", "uid"]?.string ?? "",
                reason: body["reason"]?.string ?? "",
                message: body["message"]?.string ?? "",
                count: 0
            )
        }
        guard var event, Self.reasons.contains(event.reason) else { return }
        if let message = body["message"]?.string { event.message = message }
        if request.verb == .create,
            let other = events.first(where: { $0.key != key && $0.value.isDuplicate(of: event) })
        {
            fail("b", "duplicate events: \(other.key) and \(key)")
        }
        let count = body["count"]?.integer ?? event.count
        defer { events[key] = event }
        guard count > event.count else { return }
        event.count = count
        recordReport(event, at: now)
    }

    /// Records that an event was created, or that its count rose.
    private mutating func recordReport(_ event: Event, at now: Duration) {
        reports += 1
        let text = event.reason == "VolumeConditionNormal" ? nil : Optional(event.message)
        guard var subject = subjects[event.subject] else {
            // A claim may be deleted while a report is sent. Of a pod that never started, nothing must be reported.
            if event.kind == "Pod" { fail("f", "\"\(event.message)\" was reported at \(now) on an unknown pod") }
            return
        }
        let count = subject.reports[text, default: 0] + 1
        subject.reports[text] = count
        let allowed = subject.reportsAllowed(
            of: text,
            at: min(now, subject.ended ?? now),
            refreshInterval: refreshInterval
        )
        let what = "\(subject.name): \"\(text ?? "healthy")\""
        if allowed == 0 {
            fail("f", "\(what) was reported at \(now) and was never true")
        } else if count > allowed {
            fail(
                text == nil ? "c" : "b",
                "\(what) was reported \(count) times by \(now), but could be reported \(allowed) times"
            )
        }
        if text == nil, let since = subject.abnormalReportedAt, !subject.wasHealthy(since: since) {
            fail("f", "\(what) was reported at \(now), but the volume was not healthy since the report at \(since)")
        }
        subject.abnormalReportedAt = text == nil ? nil : subject.abnormalReportedAt ?? now
        subject.lastReported = .some(text)
        subject.isReportLost = false
        subjects[event.subject] = subject
    }
}

extension HealthLedger.Event {
    /// The key of its subject.
    fileprivate var subject: String {
        kind == "Pod" ? HealthLedger.subject(podUID: uid, volume: HealthLedger.volume(in: message)) : uid
    }

    fileprivate func isDuplicate(of other: Self) -> Bool {
        subject == other.subject && reason == other.reason && message == other.message
    }
}

extension HealthLedger.Subject {
    /// How often a text may have been reported by now: once each time that it became true, and once more for each
    /// refresh interval while it lasts. A recovery is reported only after a condition was.
    fileprivate func reportsAllowed(of text: String?, at now: Duration, refreshInterval: Duration) -> Int {
        var allowed = 0
        for (index, period) in periods.enumerated() where period.text == text {
            if text == nil {
                if index > 0 { allowed += 1 }
            } else {
                // Until the subject's next report, the monitor may not know that the condition has ended.
                let isOver = index + 1 < periods.count && lastReported != .some(text)
                let end = isOver ? periods[index + 1].began : now
                allowed += 1 + Int((end - period.began) / refreshInterval)
            }
        }
        return allowed
    }

    /// Whether the volume was healthy at any moment since `start`.
    fileprivate func wasHealthy(since start: Duration) -> Bool {
        periods.indices.contains { index in
            guard periods[index].text == nil else { return false }
            return index + 1 == periods.count || periods[index + 1].began > start
        }
    }
}
