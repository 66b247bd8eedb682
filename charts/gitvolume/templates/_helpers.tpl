{{/* The name of every object: the release's, with "gitvolume" in it once. */}}
{{- define "gitvolume.name" -}}
{{- if contains "gitvolume" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-gitvolume" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change during the life of a release; selectors use them. */}}
{{- define "gitvolume.selectorLabels" -}}
app.kubernetes.io/name: gitvolume
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gitvolume.labels" -}}
{{ include "gitvolume.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* An image reference; a tag that is a digest is joined with "@". */}}
{{- define "gitvolume.image" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if hasPrefix "sha256:" $tag -}}
{{- printf "%s@%s" .image.repository $tag -}}
{{- else -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Whether Namespaces are watched: where they may hand out ranges of users. */}}
{{- define "gitvolume.watchNamespaces" -}}
{{- $watch := .Values.webhook.watchNamespaces -}}
{{- or (eq $watch "always") (and (eq $watch "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- end -}}
