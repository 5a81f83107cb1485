package resources

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenKey is the key of the token in a token Secret.
const TokenKey = "token"

// TokenSecret is a Secret with the token of the admin endpoints, under the name
// of [AdminSecretName] or [OperatorSecretName]. It is made once and never
// written again, so that whoever replaces a token keeps the one that they chose.
func TokenSecret(in Input, name, token string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: objectMeta(in, name),
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{TokenKey: []byte(token)},
	}
}
