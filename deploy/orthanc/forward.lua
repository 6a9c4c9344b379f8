-- Orthanc sends a CT series on to the node when nothing came for it for StableAge
-- seconds; again, when images came late.
--
-- By series and not by study: results come back into the study as series of their own, the node
-- refuses what is no CT, and a transfer of Orthanc's ends at the first object that is refused,
-- late images behind it included.
function OnStableSeries(series, tags, metadata)
  if tags['Modality'] == 'CT' then
    RestApiPost('/modalities/groundglass/store',
                DumpJson({Resources = {series}, Asynchronous = true}, true))
  end
end
