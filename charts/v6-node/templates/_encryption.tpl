{{/* The organization's private key, in the pods of launcher and proxy. */}}

{{/* The volume, if the collaboration is encrypted. */}}
{{- define "v6-node.keyVolume" -}}
{{- with .Values.node.encryption -}}
{{- if .enabled -}}
- name: private-key
  secret:
    secretName: {{ .existingSecret | default "v6-node-private-key" }}
    defaultMode: 0440
    items:
      - {key: private_key.pem, path: private_key.pem}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Where it is mounted: launcher/encryption.py looks there. */}}
{{- define "v6-node.keyMount" -}}
{{- if .Values.node.encryption.enabled -}}
- {name: private-key, mountPath: /run/secrets/v6-node-encryption, readOnly: true}
{{- end -}}
{{- end }}
