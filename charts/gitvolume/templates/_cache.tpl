{{/* Name of the cache's objects. */}}
{{- define "gitvolume.cacheName" -}}
{{ include "gitvolume.fullname" . }}-cache
{{- end -}}

{{/* Selector labels of the cache's Pods: another name, because the webhook's Service and policies select by it. */}}
{{- define "gitvolume.cacheSelectorLabels" -}}
app.kubernetes.io/name: {{ include "gitvolume.name" . }}-cache
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* DNS name of the cache in its address. */}}
{{- define "gitvolume.cacheHost" -}}
{{ include "gitvolume.cacheName" . }}.{{ .Release.Namespace }}.svc.{{ .Values.cache.clusterDomain }}
{{- end -}}

{{/* DNS name that resolves to all replicas of the cache, for wake-ups. */}}
{{- define "gitvolume.cacheReplicasHost" -}}
{{ include "gitvolume.cacheName" . }}-replicas.{{ .Release.Namespace }}.svc.{{ .Values.cache.clusterDomain }}
{{- end -}}

{{/* Secret with the certificate of the cache. */}}
{{- define "gitvolume.cacheSecret" -}}
{{- if .Values.cache.tls.secretName -}}
{{- .Values.cache.tls.secretName -}}
{{- else if eq .Values.tls.mode "files" -}}
{{- fail "cache.tls.secretName is required when cache.enabled is true and tls.mode is files" -}}
{{- else -}}
{{- include "gitvolume.cacheName" . }}-tls
{{- end -}}
{{- end -}}

{{/* "true" if cert-manager issues the certificate of the cache. */}}
{{- define "gitvolume.cacheHasCertificate" -}}
{{- and .Values.cache.enabled (eq .Values.tls.mode "cert-manager") (not .Values.cache.tls.secretName) -}}
{{- end -}}

{{/* "true" if cert-manager signs with a private CA of the chart. */}}
{{- define "gitvolume.hasOwnIssuer" -}}
{{- $isNeeded := or .Values.webhook.enabled (eq (include "gitvolume.cacheHasCertificate" .) "true") -}}
{{- and $isNeeded (eq .Values.tls.mode "cert-manager") (not .Values.tls.certManager.issuerRef) -}}
{{- end -}}

{{/* "true" if the webhook issues the certificate of the cache. */}}
{{- define "gitvolume.cacheIsIssued" -}}
{{- and .Values.cache.enabled (eq .Values.tls.mode "self") (not .Values.cache.tls.secretName) -}}
{{- end -}}

{{/* 80 % of the cache's volume, in Mi. */}}
{{- define "gitvolume.cacheLimit" -}}
{{- $size := .Values.cache.storage.size -}}
{{- $number := regexFind "^[0-9]+" $size | int64 -}}
{{- $factor := get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[A-Z]i$" $size) -}}
{{- div (mul $number $factor 8) 10 -}}Mi
{{- end -}}

{{/* Entry of the cache in the webhook's settings, as a list. */}}
{{- define "gitvolume.cacheSettings" -}}
{{- if .Values.cache.enabled }}
{{- with .Values.cache.namespaceSelector }}
{{- if not $.Values.objects.enabled }}
{{- $keys := keys (.matchLabels | default dict) }}
{{- range .matchExpressions }}
{{- $keys = append $keys .key }}
{{- end }}
{{- if without $keys "kubernetes.io/metadata.name" }}
{{- fail "cache.namespaceSelector needs objects.enabled, because the webhook does not know the labels of namespaces otherwise" }}
{{- end }}
{{- end }}
{{- end }}
- url: https://{{ include "gitvolume.cacheHost" . }}:{{ .Values.cache.port }}
  caBundleFile: /etc/gitvolume-cache/ca.crt
  trust: {{ .Values.cache.trust }}
  {{- with .Values.cache.maxStaleness }}
  maxStaleness: {{ . }}
  {{- end }}
  {{- with .Values.cache.namespaceSelector }}
  namespaceSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- else }}
[]
{{- end }}
{{- end -}}
