-- Routes every MR series that arrives at Orthanc to NeuroSieve.
-- In orthanc.json:  "LuaScripts": ["orthanc-route.lua"],
--                   "DicomModalities": {"neurosieve": ["NEUROSIEVE", "127.0.0.1", 11112]}
-- Results are SR, SEG and OT, not MR: they are left alone, so nothing runs in circles.
-- The REST call is on purpose: SendToModality of Orthanc 1.10 takes instances, not series.
function OnStableSeries(seriesId, tags, metadata)
  if tags['Modality'] == 'MR' then
    RestApiPost('/modalities/neurosieve/store',
                DumpJson({Resources = {seriesId}, Asynchronous = true}, true))
  end
end
