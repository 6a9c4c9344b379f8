"""DICOM over the network (PS3.7, PS3.8): our acceptor, and associations that we ask for."""
