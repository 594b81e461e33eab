-- Routes every MR series that arrives at Orthanc to NeuroSieve, as soon as Orthanc holds it stable.
-- In orthanc.json:  "LuaScripts": ["/etc/orthanc/neurosieve-route.lua"],
--                   "DicomModalities": {"neurosieve": ["NEUROSIEVE", "127.0.0.1", 11112]}
-- Results are SR, SEG and OT, not MR: they are left alone, so nothing runs in circles. What the
-- node may be asked to return as MR (results.derived_series) it knows as its own and refuses.
-- The REST call is on purpose: SendToModality of Orthanc 1.10 takes instances, not series.
function OnStableSeries(seriesId, tags, metadata)
  if tags['Modality'] == 'MR' then
    RestApiPost('/modalities/neurosieve/store',
                DumpJson({Resources = {seriesId}, Asynchronous = true}, true))
  end
end
