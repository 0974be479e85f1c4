{{/* What follows from how the task volume can be mounted. */}}

{{/* "true" if only one machine at a time can: launcher and algorithms then have to be on the same one. */}}
{{- define "v6-node.oneMachine" -}}
{{- not (has "ReadWriteMany" .Values.taskVolume.accessModes) -}}
{{- end }}

{{/* The machines that databases are on, of which the values say so, as JSON. */}}
{{- define "v6-node.databaseMachines" -}}
{{- $machines := list -}}
{{- range .Values.node.databases }}{{ $machines = append $machines (.nodeName | default "") }}{{ end -}}
{{- compact $machines | uniq | sortAlpha | toJson -}}
{{- end }}

{{/*
The launcher's affinity: what the values say, and where one machine has all, it goes to that. Algorithms have the same
podAffinity (launcher/neighbours.py). A pod that matches its own term may be the first anywhere, so that a launcher starts
when nobody has the volume, and follows the algorithms that run when it was moved. What the values say goes before.
*/}}
{{- define "v6-node.launcherAffinity" -}}
{{- $ours := dict -}}
{{- if eq "true" (include "v6-node.oneMachine" .) -}}
{{- $together := dict "matchExpressions" (list (dict "key" "v6-node.vantage6.ai/role" "operator" "In" "values" (list "launcher" "algorithm"))) -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $together -}}
{{- $_ := set $ours "podAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- /* Preferred only: a task volume that is elsewhere already stays there. */ -}}
{{- with include "v6-node.databaseMachines" . | fromJsonArray -}}
{{- $there := dict "matchExpressions" (list (dict "key" "kubernetes.io/hostname" "operator" "In" "values" .)) -}}
{{- $_ := set $ours "nodeAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "preference" $there))) -}}
{{- end -}}
{{- end -}}
{{- merge (deepCopy .Values.launcher.affinity) $ours | toYaml -}}
{{- end }}

{{/* Rules for the task volume: each prints one line for each fault. */}}
{{- define "v6-node.faults.taskVolume" -}}
{{- $modes := .Values.taskVolume.accessModes -}}
{{- $claim := .Values.taskVolume.existingClaim -}}
{{- if has "ReadWriteOncePod" $modes }}
taskVolume.accessModes has "ReadWriteOncePod", which lets one pod alone have the volume, but the launcher and every algorithm write to it; use ReadWriteOnce, or ReadWriteMany for several machines.
{{- else if $claim -}}
{{- with lookup "v1" "PersistentVolumeClaim" .Release.Namespace $claim -}}
{{- $has := .spec.accessModes -}}
{{- if not (or (has "ReadWriteOnce" $has) (has "ReadWriteMany" $has)) }}
taskVolume.existingClaim {{ $claim | quote }} is {{ join ", " $has }}, but the launcher and every algorithm write to it; name a claim with ReadWriteOnce, or ReadWriteMany for several machines.
{{- else if ne (has "ReadWriteMany" $has) (has "ReadWriteMany" $modes) }}
taskVolume.accessModes is {{ join ", " $modes }}, but taskVolume.existingClaim {{ $claim | quote }} is {{ join ", " $has }}; set it to what the claim has, as it says whether launcher and algorithms share a machine.
{{- end -}}
{{- end -}}
{{- end -}}
{{- $machines := include "v6-node.databaseMachines" . | fromJsonArray -}}
{{- if and (eq "true" (include "v6-node.oneMachine" .)) (gt (len $machines) 1) }}
node.databases are on machines {{ join " and " $machines }}, but taskVolume.accessModes {{ join ", " $modes }} keeps all algorithms on one; put the files on one machine, or take ReadWriteMany.
{{- end -}}
{{- end }}
