// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A credential plugin of a kubeconfig: a program that prints credentials.
///
/// Source: [client-go credential
/// plugins](https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins), and
/// client-go's
/// [exec.go](https://github.com/kubernetes/client-go/blob/master/plugin/pkg/client/auth/exec/exec.go).
package struct ExecPlugin: Sendable, Hashable {
    /// The supported versions of ExecCredential, the same as in client-go.
    static let apiVersions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

    /// One of ``apiVersions``: the version of its input and output.
    package var apiVersion: String
    /// A path if it contains a slash, otherwise a name to look up in PATH.
    package var command: String
    package var arguments: [String]
    /// Added to this process's environment.
    package var environment: [String: String]
    /// How to install the program, as the kubeconfig says.
    package var installHint: String?
    /// The value of KUBERNETES_EXEC_INFO: an ExecCredential in JSON.
    package var info: String
}
