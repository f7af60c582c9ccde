// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A credential plugin: a program that a kubeconfig names and that prints credentials.
///
/// Source: [client-go credential
/// plugins](https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins), and
/// client-go's
/// [exec.go](https://github.com/kubernetes/client-go/blob/master/plugin/pkg/client/auth/exec/exec.go).
package struct ExecPlugin: Sendable, Hashable {
    /// The versions of the ExecCredential that are spoken; client-go has the same.
    static let apiVersions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

    /// Of ``apiVersions``: what it is given and has to answer in.
    package var apiVersion: String
    /// A path where there is a slash in it, otherwise a name to look for on the PATH.
    package var command: String
    package var arguments: [String]
    /// Set in addition to this process's environment.
    package var environment: [String: String]
    /// How to get the program, in the words of the kubeconfig's author.
    package var installHint: String?
    /// The value of KUBERNETES_EXEC_INFO: an ExecCredential in JSON.
    package var info: String
}
