{{/* The value of the label app.kubernetes.io/name: the chart's name or nameOverride. */}}
{{- define "gitvolume.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/*
Name of every object: the release name, with "gitvolume" appended unless it contains it. At most 52 characters, so
that a name with a suffix has at most 63.
*/}}
{{- define "gitvolume.fullname" -}}
{{- $chart := include "gitvolume.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $chart | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name and version of the chart, for the label helm.sh/chart. */}}
{{- define "gitvolume.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" -}}
{{- end -}}

{{/* Number of replicas. `replicas` is the name of `replicaCount` in 0.1.0. */}}
{{- define "gitvolume.replicaCount" -}}
{{- if hasKey .Values "replicas" }}{{ .Values.replicas }}{{ else }}{{ .Values.replicaCount }}{{ end -}}
{{- end -}}

{{/* Selector labels: they never change during the life of a release. */}}
{{- define "gitvolume.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gitvolume.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. They override commonLabels, so a user cannot change the selector labels. */}}
{{- define "gitvolume.labels" -}}
{{- $own := fromYaml (include "gitvolume.selectorLabels" .) -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (include "gitvolume.chart" .) -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/*
Labels and annotations of one object. "labels" and "annotations" are specific to this object and override the
common ones.
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

{{/*
Image reference: "@" joins a digest, ":" a tag. The image's own registry, or else global.imageRegistry, replaces the
registry in the repository. As in every image reference, the first part of the repository is a registry if it has a
dot or a colon, or is "localhost".
*/}}
{{- define "gitvolume.image" -}}
{{- $repository := .image.repository -}}
{{- with .image.registry | default .root.Values.global.imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- $first := first $parts -}}
{{- if and (gt (len $parts) 1) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{- $parts = rest $parts -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else if hasPrefix "sha256:" $tag -}}
{{- printf "%s@%s" $repository $tag -}}
{{- else -}}
{{- printf "%s:%s" $repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Pull Secrets of the webhook's Pods; empty if there are none. */}}
{{- define "gitvolume.imagePullSecrets" -}}
{{- with concat (.Values.global.imagePullSecrets | default list) .Values.imagePullSecrets | uniq -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "gitvolume.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gitvolume.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is required when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* With hostNetwork, the kubelet uses 10250 on the node, and other programs often use 8080. */}}
{{- define "gitvolume.port" -}}
{{- .Values.webhook.port | default (ternary 10260 10250 .Values.hostNetwork) | int -}}
{{- end -}}
{{- define "gitvolume.adminPort" -}}
{{- .Values.webhook.adminPort | default (ternary 10261 8080 .Values.hostNetwork) | int -}}
{{- end -}}

{{/* "true" if the cluster assigns UID ranges to namespaces (OpenShift), according to the APIs that Helm sees. */}}
{{- define "gitvolume.isOpenShift" -}}
{{- .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- end -}}

{{/* "true" if the webhook watches Namespaces for their UID ranges. */}}
{{- define "gitvolume.watchNamespaces" -}}
{{- $watch := .Values.webhook.watchNamespaces -}}
{{- or (eq $watch "always") (and (eq $watch "auto") (eq (include "gitvolume.isOpenShift" .) "true")) -}}
{{- end -}}

{{/*
All excluded namespaces: names, and prefixes that end in "*". `webhook.excludedNamespaces` is the name of the value in
0.1.0.
*/}}
{{- define "gitvolume.excludedPatterns" -}}
{{- $patterns := .Values.excludedNamespaces -}}
{{- if hasKey .Values.webhook "excludedNamespaces" -}}
{{- $patterns = .Values.webhook.excludedNamespaces -}}
{{- end -}}
{{- prepend ($patterns | default list) "kube-system" | uniq | toYaml -}}
{{- end -}}

{{/* The names among them: a label selector cannot match prefixes. */}}
{{- define "gitvolume.excludedNamespaces" -}}
{{- $names := list -}}
{{- range fromYamlArray (include "gitvolume.excludedPatterns" .) -}}
{{- if not (hasSuffix "*" .) -}}
{{- $names = append $names . -}}
{{- end -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}

{{/*
What the webhook's settings and the guard exclude in addition to the label selectors: the prefixes, and
`settings.excludedNamespaces`.
*/}}
{{- define "gitvolume.furtherExcluded" -}}
{{- $names := fromYamlArray (include "gitvolume.excludedNamespaces" .) -}}
{{- $all := concat (fromYamlArray (include "gitvolume.excludedPatterns" .)) (.Values.settings.excludedNamespaces | default list) -}}
{{- $further := list -}}
{{- range uniq $all -}}
{{- if not (has . $names) -}}
{{- $further = append $further . -}}
{{- end -}}
{{- end -}}
{{- toYaml $further -}}
{{- end -}}

{{/*
Label selector of the namespaces for auto-injection. It always excludes the release namespace, because the
webhook's own Pods, and others that it depends on, may run there.
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

{{/* Secret with the serving certificate, which the webhook Pods mount; empty with tls.mode self. */}}
{{- define "gitvolume.tlsSecret" -}}
{{- if eq .Values.tls.mode "files" -}}
{{- required "tls.files.secretName is required when tls.mode is files" .Values.tls.files.secretName -}}
{{- else if eq .Values.tls.mode "cert-manager" -}}
{{- include "gitvolume.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* clientConfig of a webhook: the Service and path that the API server calls. */}}
{{- define "gitvolume.clientConfig" -}}
{{- $tls := .root.Values.tls -}}
{{- if and (eq $tls.mode "files") $tls.files.caBundle -}}
caBundle: {{ $tls.files.caBundle | b64enc }}
{{ end -}}
service:
  name: {{ include "gitvolume.fullname" .root }}
  namespace: {{ .root.Release.Namespace }}
  path: {{ .path }}
  port: 443
{{- end -}}

{{/*
Match conditions of both Pod webhooks. A Pod with `gitvolume.dev/inject: "false"` starts while the webhook is
down; the webhook's own Pods have this annotation. A mirror Pod only represents a static Pod that the kubelet
already runs.
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

{{/* Rules of the webhook's ClusterRole; empty if it needs none. */}}
{{- define "gitvolume.clusterRules" -}}
{{- $verbs := list }}
{{- if or .Values.objects.enabled (eq .Values.tls.mode "self") }}
{{- $verbs = list "get" "watch" }}
{{- end }}
{{- if eq .Values.tls.mode "self" }}
{{- $verbs = append $verbs "patch" }}
{{- end }}
{{- with $verbs }}
# Only the webhook's own configuration: the webhook reads the namespaces for auto-injection from it and, with
# tls.mode self, writes its CA into the caBundle.
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [{{ include "gitvolume.fullname" $ }}]
  verbs: [{{ join ", " . }}]
{{- end }}
{{- if or .Values.objects.enabled (eq (include "gitvolume.watchNamespaces" .) "true") }}
# To find the UID ranges of namespaces, and the namespaces that GitVolumes select. The webhook reads only
# their metadata.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if .Values.objects.enabled }}
- apiGroups: [gitvolume.dev]
  resources: [gitvolumes, clustergitvolumes]
  verbs: [list, watch]
# To write the status conditions.
- apiGroups: [gitvolume.dev]
  resources: [gitvolumes/status, clustergitvolumes/status]
  verbs: [patch]
{{- end }}
{{- end -}}

{{/*
A CustomResourceDefinition from its file, with labels and annotations added. The text is not parsed: fromYaml
followed by toYaml would change numbers and strings.
*/}}
{{- define "gitvolume.crd" -}}
{{- $annotations := ternary (dict "helm.sh/resource-policy" "keep") (dict) .root.Values.crds.keep -}}
{{- $metadata := include "gitvolume.metadata" (dict "root" .root "annotations" $annotations) | nindent 2 -}}
{{- .root.Files.Get .file | replace "\nmetadata:\n" (printf "\nmetadata:%s\n" $metadata) -}}
{{- end -}}
