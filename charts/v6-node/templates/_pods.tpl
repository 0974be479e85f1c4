{{/* What the pods of launcher and proxy have in common: who they run as, where, and how they are watched. */}}

{{/* Pod security context, within the Pod Security Standard "restricted". */}}
{{- define "v6-node.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.securityContext }}
{{- if not (kindIs "invalid" .runAsUser) }}
runAsUser: {{ int64 .runAsUser }}
{{- end }}
{{- if not (kindIs "invalid" .runAsGroup) }}
runAsGroup: {{ int64 .runAsGroup }}
fsGroup: {{ int64 .runAsGroup }}
# A task volume with many files would otherwise be walked at every start.
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Container security context. */}}
{{- define "v6-node.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where a pod may run, and the registry credentials it pulls with. Takes a dict: root, settings. */}}
{{- define "v6-node.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Probes ask the process about itself, never about the server: an outage elsewhere must restart nothing here. Takes the path
that tells whether the process is ready for work.
*/}}
{{- define "v6-node.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: status}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: status}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ . }}, port: status}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}
