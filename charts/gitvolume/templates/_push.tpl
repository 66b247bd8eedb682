{{/* Name of the push receiver's objects. */}}
{{- define "gitvolume.pushName" -}}
{{ include "gitvolume.fullname" . }}-push
{{- end -}}

{{/* Selector labels of the receiver's Pods: another name, because the webhook's Service and policies select by it. */}}
{{- define "gitvolume.pushSelectorLabels" -}}
app.kubernetes.io/name: {{ include "gitvolume.name" . }}-push
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Port of the receiver's Service. */}}
{{- define "gitvolume.pushServicePort" -}}
{{ ternary 443 80 (not (empty .Values.push.tls.secretName)) }}
{{- end -}}

{{/* Address of the cache that the receiver wakes. */}}
{{- define "gitvolume.pushCacheUrl" -}}
{{- .Values.push.cache.url | default (printf "https://%s:%d" (include "gitvolume.cacheReplicasHost" .) (int .Values.cache.port)) -}}
{{- end -}}

{{/* "true" if the cache accepts wake-ups: from the receiver of this release, or from one elsewhere. */}}
{{- define "gitvolume.cacheIsWoken" -}}
{{- or .Values.push.enabled (not (empty .Values.push.wakeKeySecretName)) -}}
{{- end -}}

{{/* Secret with the key of wake-ups. */}}
{{- define "gitvolume.wakeKeySecret" -}}
{{- .Values.push.wakeKeySecretName | default (printf "%s-wake" (include "gitvolume.cacheName" .)) -}}
{{- end -}}

{{/* Problems of the push receiver's values that no schema can express. */}}
{{- define "gitvolume.checkPush" -}}
{{- with .Values.push }}
{{- if and (not .cache.url) (not $.Values.cache.enabled) }}
{{- fail "push.enabled needs cache.enabled, or the address of another release's cache in push.cache.url" }}
{{- end }}
{{- if and .cache.url $.Values.cache.enabled }}
{{- fail "push.cache.url and cache.enabled exclude each other: the receiver wakes one cache" }}
{{- end }}
{{- if and .cache.url (not .cache.caSecretName) }}
{{- fail "push.cache.caSecretName is required with push.cache.url: the Secret with ca.crt of that cache" }}
{{- end }}
{{- if and .cache.url (not .wakeKeySecretName) }}
{{- fail "push.wakeKeySecretName is required with push.cache.url: the Secret with the key of that cache" }}
{{- end }}
{{- if not .secretName }}
{{- fail "push.secretName is required when push.enabled is true: the Secret with one key for each NAME of push.wake" }}
{{- end }}
{{- if not .wake }}
{{- fail "push.wake is required when push.enabled is true: for each NAME the addresses that its deliveries may wake, such as {acme: [https://github.com/acme]}" }}
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
{{- fail "push.httpRoute.parentRefs is required when push.httpRoute.enabled is true: the Gateway that the route attaches to" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hostnames) }}
{{- fail "push.ingress.hostnames is required when push.ingress.enabled is true: the names at which the git host reaches the receiver" }}
{{- end }}
{{- end }}
{{- end -}}
