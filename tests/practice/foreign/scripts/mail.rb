# Ruby's net-imap: reads, searches, copies and is told of mail while it idles.
require "net/imap"

class XOAuth2
  def initialize(user, token)
    @said = "user=#{user}\x01auth=Bearer #{token}\x01\x01"
  end

  def process(_challenge)
    @said
  end
end
Net::IMAP.add_authenticator("XOAUTH2", XOAuth2) unless Net::IMAP.const_defined?(:SASL)

user, token, port, ca = ARGV
imap = Net::IMAP.new("localhost", port: port.to_i, ssl: { ca_file: ca })
begin
  imap.authenticate("XOAUTH2", user, "nonsense")
rescue Net::IMAP::NoResponseError => refused
  puts "refused #{refused.message.strip}"
end
imap.authenticate("XOAUTH2", user, token)
puts "sent #{imap.list("", "*").find { |f| f.attr.include?(:Sent) }.name}"
imap.select("INBOX")
found = imap.uid_search(["NOT", "DELETED", "LARGER", 10])
one = imap.uid_fetch(found.first, ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "BODY.PEEK[HEADER]"]).first
puts "one #{one.attr["ENVELOPE"].from.first.host} #{one.attr["BODYSTRUCTURE"].media_type}"
imap.uid_copy(found.first, "Archive")
imap.append("INBOX", "Subject: Klage von Ruby\r\n\r\nx\r\n", [:Flagged], Time.now)
puts "flagged #{imap.search(["FLAGGED"]).size}"
puts "status #{imap.status("Archive", ["MESSAGES"])["MESSAGES"]}"
imap.idle(10) do |told|
  if told.is_a?(Net::IMAP::ContinuationRequest)
    puts "idling"
    $stdout.flush
  elsif told.name == "EXISTS"
    puts "exists"
    imap.idle_done
  end
end
imap.logout
