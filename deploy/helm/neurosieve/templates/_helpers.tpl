{{- define "neurosieve.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "neurosieve.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "neurosieve.labels" -}}
{{ include "neurosieve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* An image: a dictionary of image (repository, tag, digest) and root. */ -}}
{{- define "neurosieve.image" -}}
{{- if .image.digest }}{{ .image.repository }}@{{ .image.digest }}
{{- else }}{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "neurosieve.claim" -}}
{{ .Values.persistence.existingClaim | default (printf "%s-data" (include "neurosieve.name" .)) }}
{{- end }}

{{- /* What every pod has: no token of the API, no root, no privilege. */ -}}
{{- define "neurosieve.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: configuration
    configMap:
      name: {{ include "neurosieve.name" . }}
  - name: data
    persistentVolumeClaim:
      claimName: {{ include "neurosieve.claim" . }}
  - name: temporary
    emptyDir: {}
  {{- if .Values.files.url }}
  - name: cache
    emptyDir: {}
  {{- end }}
  {{- with .Values.secretFiles.existingSecret }}
  - name: secrets
    secret:
      secretName: {{ . }}
      defaultMode: 0440
  {{- end }}
  {{- with .Values.status.metricsToken.existingSecret }}
  - name: metrics-token
    secret:
      secretName: {{ . }}
      defaultMode: 0440
  {{- end }}
{{- end }}

{{- /* What every container has. */ -}}
{{- define "neurosieve.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: configuration
    mountPath: /etc/neurosieve
    readOnly: true
  - name: data
    mountPath: /var/lib/neurosieve
  - name: temporary
    mountPath: /tmp
  {{- if .Values.files.url }}
  - name: cache
    mountPath: /var/lib/neurosieve/data/cache
  {{- end }}
  {{- if .Values.secretFiles.existingSecret }}
  - name: secrets
    mountPath: /etc/neurosieve-secrets
    readOnly: true
  {{- end }}
  {{- if .Values.status.metricsToken.existingSecret }}
  - name: metrics-token
    mountPath: /etc/neurosieve-metrics
    readOnly: true
  {{- end }}
{{- end }}

{{- define "neurosieve.environment" -}}
- name: NEUROSIEVE_NODE__DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret }}
      key: {{ .Values.database.key }}
- name: NEUROSIEVE_NODE__DATA_DIR
  value: /var/lib/neurosieve/data
- name: NEUROSIEVE_LOG__FORMAT
  value: json
{{- with .Values.files }}
{{- if .url }}
- name: NEUROSIEVE_NODE__FILES_URL
  value: {{ .url | quote }}
- name: NEUROSIEVE_NODE__FILES_ENDPOINT
  value: {{ .endpoint | quote }}
- name: NEUROSIEVE_NODE__FILES_REGION
  value: {{ .region | quote }}
- name: NEUROSIEVE_NODE__CACHE_GB
  value: {{ .cacheGb | quote }}
{{- $secret := .existingSecret }}
{{- if $secret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The pod's own name ends in its ordinal and outlives the pod: that is a slot. */ -}}
{{- define "neurosieve.slot" -}}
- name: NEUROSIEVE_NODE__SLOT
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}

{{- /* Resources with the GPU: a dictionary of resources and gpu. */ -}}
{{- define "neurosieve.resources" -}}
{{- $resources := deepCopy .resources }}
{{- if .gpu.enabled }}
{{- $limits := merge (dict .gpu.resource 1) ($resources.limits | default dict) }}
{{- $_ := set $resources "limits" $limits }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- define "neurosieve.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
