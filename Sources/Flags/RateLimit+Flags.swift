// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient

extension RateLimit {
    /// The limit of `--kube-api-qps` and `--kube-api-burst`; nil: no limit.
    ///
    /// As in client-go, a negative rate means no limit and a burst of 0 means 10. A rate of 0, which client-go takes as
    /// 5, is refused, because it looks like no limit.
    init?(qps: Double, burst: Int32) throws(UsageError) {
        guard burst >= 0 else {
            throw UsageError(message: "--kube-api-burst must not be negative")
        }
        guard qps != 0 else {
            throw UsageError(message: "--kube-api-qps must not be 0: write a rate, such as 50, or -1 for no limit")
        }
        guard qps > 0 else { return nil }
        self.init(queriesPerSecond: qps, burst: burst == 0 ? 10 : Int(burst))
    }
}
