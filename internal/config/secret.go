// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// Hidden is what is shown in place of a secret value, as by Flink.
const Hidden = "******"

// sensitive are the parts of keys whose values Flink takes for secret.
var sensitive = []string{
	"password", "secret", "fs.azure.account.key", "apikey", "api-key", "auth-params", "service-key", "token",
	"basic-auth", "jaas.config", "http-headers",
}

// Sensitive tells whether a key looks as if its value were secret. Of an option of the cluster, Option.Secret says it.
func Sensitive(key string) bool {
	key = strings.ToLower(key)
	for _, part := range sensitive {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// HideSecrets returns the settings with what looks secret hidden.
func HideSecrets(settings map[string]string) map[string]string {
	shown := make(map[string]string, len(settings))
	for key, text := range settings {
		if Sensitive(key) && text != "" {
			text = Hidden
		}
		shown[key] = text
	}
	return shown
}

// HideArguments returns the arguments of a program with the values of flags hidden that look secret: of -name=value, and
// of what follows -name.
func HideArguments(arguments []string) []string {
	shown := make([]string, len(arguments))
	follows := false
	for i, a := range arguments {
		name, _, hasValue := strings.Cut(a, "=")
		flag := strings.HasPrefix(a, "-") && Sensitive(name)
		switch {
		case flag && hasValue:
			shown[i] = name + "=" + Hidden
		case follows && !strings.HasPrefix(a, "-"):
			shown[i] = Hidden
		default:
			shown[i] = a
		}
		follows = flag && !hasValue
	}
	return shown
}
