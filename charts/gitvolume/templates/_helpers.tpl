{{/* The chart's name, as the label app.kubernetes.io/name has it. */}}
{{- define "gitvolume.chart" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of every object: the release's, with "gitvolume" in it once. Its suffixes fit in 63. */}}
{{- define "gitvolume.name" -}}
{{- $chart := include "gitvolume.chart" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $chart | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change during the life of a release; selectors use them. */}}
{{- define "gitvolume.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gitvolume.chart" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The labels of every object. Ours come first: a selector's label is not the user's to change. */}}
{{- define "gitvolume.labels" -}}
{{- $own := fromYaml (include "gitvolume.selectorLabels" .) -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/*
The labels and annotations of one object; "labels" and "annotations" are what it has beside all
others', and win over those.
*/}}
{{- define "gitvolume.metadata" -}}
{{- $labels := merge (dict) (.labels | default dict) (fromYaml (include "gitvolume.labels" .root)) -}}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
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

{{- define "gitvolume.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gitvolume.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name must be set where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* On a node's network 10250 is the kubelet's, and 8080 is anybody's. */}}
{{- define "gitvolume.port" -}}
{{- .Values.webhook.port | default (ternary 10260 10250 .Values.hostNetwork) | int -}}
{{- end -}}
{{- define "gitvolume.adminPort" -}}
{{- .Values.webhook.adminPort | default (ternary 10261 8080 .Values.hostNetwork) | int -}}
{{- end -}}

{{/* "true" where the cluster hands out ranges of users, as Helm sees it. */}}
{{- define "gitvolume.isOpenShift" -}}
{{- .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- end -}}

{{/* "true" where Namespaces are watched for the ranges of users that they hand out. */}}
{{- define "gitvolume.watchNamespaces" -}}
{{- $watch := .Values.webhook.watchNamespaces -}}
{{- or (eq $watch "always") (and (eq $watch "auto") (eq (include "gitvolume.isOpenShift" .) "true")) -}}
{{- end -}}

{{/* Namespaces whose Pods are never sent to us. */}}
{{- define "gitvolume.excludedNamespaces" -}}
{{- prepend (.Values.webhook.excludedNamespaces | default list) "kube-system" | uniq | toYaml -}}
{{- end -}}

{{/*
The namespaces that auto-injection is for, as a label selector: never our own, where what we need to run
may be.
*/}}
{{- define "gitvolume.autoInjectSelector" -}}
{{- $selector := .Values.autoInject.namespaceSelector | default (dict "matchLabels" (dict "gitvolume.dev/auto-inject" "enabled")) }}
{{- if .Values.autoInject.allNamespaces }}
{{- $selector = dict }}
{{- end }}
{{- with $selector.matchLabels }}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- append (fromYamlArray (include "gitvolume.excludedNamespaces" .)) .Release.Namespace | uniq | toYaml | nindent 6 }}
  {{- with $selector.matchExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The Secret of the certificate that the Pods mount; none in mode self. */}}
{{- define "gitvolume.tlsSecret" -}}
{{- if eq .Values.tls.mode "files" -}}
{{- required "tls.files.secretName must be set with tls.mode files" .Values.tls.files.secretName -}}
{{- else if eq .Values.tls.mode "cert-manager" -}}
{{- include "gitvolume.name" . }}-tls
{{- end -}}
{{- end -}}

{{/* Where the API server calls us, at a path. */}}
{{- define "gitvolume.clientConfig" -}}
{{- $tls := .root.Values.tls -}}
{{- if and (eq $tls.mode "files") $tls.files.caBundle -}}
caBundle: {{ $tls.files.caBundle | b64enc }}
{{ end -}}
service:
  name: {{ include "gitvolume.name" .root }}
  namespace: {{ .root.Release.Namespace }}
  path: {{ .path }}
  port: 443
{{- end -}}

{{/*
The conditions of every Pod that is sent to us. `gitvolume.dev/inject: "false"` lets a Pod start while the
webhook is away; our own Pods have it. A mirror Pod only reports what a kubelet already runs.
*/}}
{{- define "gitvolume.anyPodConditions" -}}
- name: is-not-opted-out
  expression: >-
    !has(object.metadata.annotations)
    || !('gitvolume.dev/inject' in object.metadata.annotations)
    || object.metadata.annotations['gitvolume.dev/inject'] != 'false'
- name: is-not-a-mirror-pod
  expression: >-
    !has(object.metadata.annotations)
    || !('kubernetes.io/config.mirror' in object.metadata.annotations)
{{- end -}}

{{/* The rules of our ClusterRole; nothing where we need none. */}}
{{- define "gitvolume.clusterRules" -}}
{{- $verbs := list }}
{{- if or .Values.objects.enabled (eq .Values.tls.mode "self") }}
{{- $verbs = list "get" "watch" }}
{{- end }}
{{- if eq .Values.tls.mode "self" }}
{{- $verbs = append $verbs "patch" }}
{{- end }}
{{- with $verbs }}
# Our own registration and no other: to know which namespaces auto-injection is for, and to write the CA
# that signed our certificates into it.
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [{{ include "gitvolume.name" $ }}]
  verbs: [{{ join ", " . }}]
{{- end }}
{{- if or .Values.objects.enabled (eq (include "gitvolume.watchNamespaces" .) "true") }}
# To know which hand out ranges of users, and which our objects are for; of each only the metadata is
# asked for.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if .Values.objects.enabled }}
- apiGroups: [gitvolume.dev]
  resources: [gitvolumes, clustergitvolumes]
  verbs: [list, watch]
# To tell them what becomes of them.
- apiGroups: [gitvolume.dev]
  resources: [gitvolumes/status, clustergitvolumes/status]
  verbs: [patch]
{{- end }}
{{- end -}}

{{/*
A CustomResourceDefinition of ours, by its file, as it is but for labels and annotations: numbers and
strings do not survive a way through fromYaml unchanged.
*/}}
{{- define "gitvolume.crd" -}}
{{- $annotations := ternary (dict "helm.sh/resource-policy" "keep") (dict) .root.Values.crds.keep -}}
{{- $metadata := include "gitvolume.metadata" (dict "root" .root "annotations" $annotations) | nindent 2 -}}
{{- .root.Files.Get .file | replace "\nmetadata:\n" (printf "\nmetadata:%s\n" $metadata) -}}
{{- end -}}
