{{/* What objects and pods are called. Object names are fixed: one release is one namespace. */}}

{{- define "v6-node.chart" -}}
{{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that select the pods of a component; they may never change. Takes a dict: root, component. */}}
{{- define "v6-node.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of an object. Takes a dict: root, component. */}}
{{- define "v6-node.labels" -}}
helm.sh/chart: {{ include "v6-node.chart" .root }}
{{ include "v6-node.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of a pod: `role` is what NetworkPolicies go by. Takes a dict: root, component, settings. */}}
{{- define "v6-node.podLabels" -}}
{{ include "v6-node.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
v6-node.vantage6.ai/role: {{ .component }}
{{- with merge (dict) (.settings.podLabels | default dict) (.root.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of launcher and proxy. */}}
{{- define "v6-node.image" -}}
{{ include "v6-node.imageOf" (dict "image" .Values.image "root" .) }}
{{- end }}

{{/* The reference of an image: by digest where one is given. Takes a dict: image, root. */}}
{{- define "v6-node.imageOf" -}}
{{- with .image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.root.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secret that holds the API key. */}}
{{- define "v6-node.secretName" -}}
{{ .Values.existingSecret | default "v6-node-secrets" }}
{{- end }}

{{/* The claim that holds the runs' files. */}}
{{- define "v6-node.taskClaim" -}}
{{ .Values.taskVolume.existingClaim | default "v6-node-tasks" }}
{{- end }}
