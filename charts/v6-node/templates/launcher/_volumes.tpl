{{/* The volumes of the launcher's pod. */}}
{{- define "v6-node.launcherVolumes" -}}
- name: config
  projected:
    sources:
      - configMap:
          name: v6-node-config
      {{- with .Values.jobs.templates }}
      - configMap:
          name: v6-node-job-templates
          items:
            {{- range $name, $text := . }}
            - {key: {{ $name | quote }}, path: {{ printf "templates/%s" $name | quote }}}
            {{- end }}
      {{- end }}
{{- if ne .Values.server.protocol "poc" }}
- name: secrets
  secret:
    secretName: {{ include "v6-node.secretName" . }}
    defaultMode: 0440
    items:
      - {key: api_key, path: api_key}
{{- end }}
{{- with include "v6-node.keyVolume" . }}
{{ . }}
{{- end }}
{{- if and (include "v6-node.asksRegistries" .) (include "v6-node.algorithmPullSecrets" . | fromJsonArray) }}
- name: registries
  projected:
    defaultMode: 0440
    sources: {{ include "v6-node.loginSources" . }}
{{- end }}
- name: api-access
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: {fieldPath: metadata.namespace}
- name: tasks
  persistentVolumeClaim:
    claimName: {{ include "v6-node.taskClaim" . }}
{{- with include "v6-node.serverVolume" . }}
{{ . }}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
