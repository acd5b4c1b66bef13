// Jakarta Mail with XOAUTH2: sends, searches, sorts into a folder, and tries POP3.
import jakarta.mail.*;
import jakarta.mail.internet.*;
import jakarta.mail.search.*;
import java.util.Properties;

public class Mail {
  public static void main(String[] told) throws Exception {
    String user = told[0], token = told[1];
    Properties p = new Properties();
    for (String protocol : new String[] {"imap", "pop3", "smtp"}) {
      p.put("mail." + protocol + ".auth.mechanisms", "XOAUTH2");
      p.put("mail." + protocol + ".host", "localhost");
    }
    p.put("mail.imap.port", told[2]);
    p.put("mail.pop3.port", told[3]);
    p.put("mail.smtp.port", told[4]);
    p.put("mail.imap.ssl.enable", "true");
    p.put("mail.pop3.ssl.enable", "true");
    p.put("mail.smtp.starttls.required", "true");
    p.put("mail.smtp.auth", "true");
    Session session = Session.getInstance(p);

    MimeMessage mail = new MimeMessage(session);
    mail.setFrom(user);
    mail.setRecipients(Message.RecipientType.TO, user);
    mail.setSubject("Klage ./. M\u00fcller", "utf-8");
    mail.setText("Gr\u00fc\u00dfe\r\n.\r\n", "utf-8");
    try (Transport smtp = session.getTransport("smtp")) {
      smtp.connect(user, token);
      mail.saveChanges();
      smtp.sendMessage(mail, mail.getAllRecipients());
    }
    try (Store imap = session.getStore("imap")) {
      imap.connect(user, token);
      Folder kept = imap.getFolder("Akten/M\u00fcller");
      System.out.println("created " + kept.create(Folder.HOLDS_MESSAGES));
      Folder inbox = imap.getFolder("INBOX");
      inbox.open(Folder.READ_WRITE);
      SearchTerm term = new AndTerm(new FlagTerm(new Flags(Flags.Flag.SEEN), false), new SubjectTerm("Klage ./."));
      Message[] found = inbox.search(term);
      System.out.println("found " + found.length + " " + found[0].getSubject());
      System.out.println("body " + ((String) found[0].getContent()).trim().replace("\r\n", "|"));
      inbox.copyMessages(found, kept);
      inbox.setFlags(found, new Flags(Flags.Flag.DELETED), true);
      System.out.println("expunged " + inbox.expunge().length);
      System.out.println("kept " + kept.getMessageCount());
      inbox.close();
    }
    try (Store pop3 = session.getStore("pop3")) {
      pop3.connect(user, token);
      Folder inbox = pop3.getFolder("INBOX");
      inbox.open(Folder.READ_ONLY);
      System.out.println("pop3 " + inbox.getMessage(1).getSize());
      inbox.close();
    } catch (MessagingException refused) {
      System.out.println("pop3 " + refused.getMessage());
    }
    try (Store wrong = session.getStore("imap")) {
      wrong.connect(user, "nonsense");
    } catch (AuthenticationFailedException refused) {
      System.out.println("refused " + refused.getMessage());
    }
  }
}
